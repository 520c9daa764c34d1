package org.paddleportage.engine;

/** Which cores an engine uses; the names are Paddle Lite's. */
public enum PowerMode {
    HIGH,
    LOW,
    FULL,
    NO_BIND,
    RAND_HIGH,
    RAND_LOW
}
