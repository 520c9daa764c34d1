package org.paddleportage.core;

/** A class and how probable the model finds it, 0 to 1. */
public record Guess(int index, double probability) {}
