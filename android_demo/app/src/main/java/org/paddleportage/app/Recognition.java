package org.paddleportage.app;

import java.util.List;
import org.paddleportage.core.Guess;
import org.paddleportage.core.Labels;
import org.paddleportage.core.Latency;

/**
 * What a model said about a photo.
 *
 * @param guesses the five likeliest classes
 * @param latency of the latest runs of this model
 * @param perSecond photos in a second; 0 while there was but one
 */
record Recognition(List<Guess> guesses, Labels labels, Latency latency, double perSecond) {}
