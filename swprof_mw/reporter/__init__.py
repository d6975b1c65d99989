"""What leaves the process: queues in, one loop out. The only room that knows gRPC and protobuf."""
