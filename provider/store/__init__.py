"""What the provider keeps, over SQLAlchemy Core: schema, migrations, one module per aggregate.

Functions take a connection and a realm id; the transaction is opened by the service that calls them.
"""
