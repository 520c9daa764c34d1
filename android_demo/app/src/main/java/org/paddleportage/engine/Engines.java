package org.paddleportage.engine;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.paddleportage.core.Fault;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;

/** The table of engines. */
public final class Engines {
    private final List<Engine> all;

    /**
     * @param paddleLiteVersion of the library that was built into the app, e.g. "v2.14-rc"; null
     *     where the build did not note it: then it is known after the first model was opened
     */
    public Engines(String paddleLiteVersion) {
        this(
                new OpenCvEngine(),
                new PaddleLiteEngine(paddleLiteVersion),
                new OnnxRuntimeEngine());
    }

    Engines(Engine... all) {
        this.all = Collections.unmodifiableList(Arrays.asList(all));
    }

    public List<Engine> all() {
        return all;
    }

    /** The engine that a package asks for. */
    public Engine of(ModelPackage pack) throws PortageException {
        for (Engine engine : all) {
            if (engine.id().equals(pack.engine())) {
                return engine;
            }
        }
        throw new PortageException(Fault.UNKNOWN_ENGINE, pack.engine());
    }
}
