-- bench.checkpoint
CHECKPOINT
