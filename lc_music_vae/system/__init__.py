"""What every program here needs: files, signals, workers, progress, command lines. No music, no model."""
