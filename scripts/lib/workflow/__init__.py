"""What the rules ask: configuration, sheet, plan, progress, records, cost, the lock of images."""
