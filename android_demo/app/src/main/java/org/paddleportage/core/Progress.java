package org.paddleportage.core;

/** Hears how far long work has come. */
public interface Progress {
    /**
     * Called after each step, on the thread that works.
     *
     * @return whether to go on; otherwise the work ends with {@link Fault#STOPPED}
     */
    boolean goesOn(int done, int total);
}
