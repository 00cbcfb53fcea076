// What `make test-peers` builds: the version, and with go.sum the bytes, of oauth2-proxy and all it is made of.
module peers

go 1.26.0

require github.com/oauth2-proxy/oauth2-proxy/v7 v7.15.4
