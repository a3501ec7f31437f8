"""Where core runs: in this process or in one worker process."""
