-- bench.copy_bridges
COPY auth."user" (id, sub)
FROM STDIN (FORMAT binary)
