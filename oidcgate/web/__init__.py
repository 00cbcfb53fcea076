"""HTTP in and out: what a request is, cookies and sealed values, pages and their texts. No OAuth."""
