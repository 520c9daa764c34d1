"""Paddle Lite's library for ARM, and a program of ours that runs files with it."""
