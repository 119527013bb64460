-- bench.full_pages_off
ALTER SYSTEM SET full_page_writes = off
