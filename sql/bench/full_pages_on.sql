-- bench.full_pages_on
ALTER SYSTEM RESET full_page_writes
