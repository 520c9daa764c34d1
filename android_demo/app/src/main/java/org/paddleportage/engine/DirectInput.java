package org.paddleportage.engine;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.paddleportage.core.Fault;
import org.paddleportage.core.PortageException;

/**
 * A network's input float32 [1, 3, S, S] outside of Java's heap, in the processor's own order:
 * libraries use it in place, run after run. It must live as long as they do.
 */
final class DirectInput {
    final ByteBuffer bytes;
    final FloatBuffer floats;

    DirectInput(int side) {
        bytes = ByteBuffer.allocateDirect(4 * 3 * side * side).order(ByteOrder.nativeOrder());
        floats = bytes.asFloatBuffer();
    }

    /** Takes a photo over; refuses one of another size. */
    void put(float[] chw, String engine) throws PortageException {
        if (chw.length != floats.capacity()) {
            throw new PortageException(Fault.INPUT_REFUSED, engine, chw.length);
        }
        // As a Buffer: Java 9's FloatBuffer.clear is not on older Androids.
        ((Buffer) floats).clear();
        floats.put(chw);
        ((Buffer) floats).clear();
    }
}
