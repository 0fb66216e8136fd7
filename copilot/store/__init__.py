"""What must outlive the process: SQL tables, repositories, keys, migrations (``copilot.store.store.open_store``) and media blobs."""
