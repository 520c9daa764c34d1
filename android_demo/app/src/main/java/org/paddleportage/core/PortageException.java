package org.paddleportage.core;

import java.util.Locale;

/** Something that the user is told: a fault and its details. The message is an English sentence. */
public final class PortageException extends Exception {
    private final Fault fault;
    private final Object[] details;

    public PortageException(Fault fault, Object... details) {
        super(String.format(Locale.ROOT, fault.sentence(), details));
        this.fault = fault;
        this.details = details;
    }

    public Fault fault() {
        return fault;
    }

    /** What fills the places of the sentence, in any language. */
    public Object[] details() {
        return details.clone();
    }
}
