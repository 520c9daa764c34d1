package org.paddleportage;

import java.io.PrintStream;
import org.junit.runner.Description;
import org.junit.runner.JUnitCore;
import org.junit.runner.Request;
import org.junit.runner.notification.Failure;
import org.junit.runner.notification.RunListener;

/** Runs the test classes named on the command line, and prints a line per test for pytest. */
public final class RunAll {
    private RunAll() {}

    public static void main(String[] names) throws ClassNotFoundException {
        Class<?>[] classes = new Class<?>[names.length];
        for (int i = 0; i < names.length; i++) {
            classes[i] = Class.forName(names[i]);
        }
        PrintStream out = System.out;
        JUnitCore core = new JUnitCore();
        core.addListener(new RunListener() {
            private boolean failed;

            @Override
            public void testStarted(Description test) {
                failed = false;
            }

            @Override
            public void testFailure(Failure failure) {
                failed = true;
                String trace = failure.getTrace().replace("\n", " | ");
                out.println("failed " + name(failure.getDescription()) + " " + trace);
            }

            @Override
            public void testFinished(Description test) {
                if (!failed) {
                    out.println("passed " + name(test));
                }
            }
        });
        core.run(Request.classes(classes));
        out.println("end");
        out.flush();
        System.exit(0); // whatever threads a library left
    }

    private static String name(Description test) {
        String type = test.getClassName();
        return type.substring(type.lastIndexOf('.') + 1) + " " + test.getMethodName();
    }
}
