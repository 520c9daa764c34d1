package org.paddleportage.core;

import java.util.Arrays;
import org.junit.Test;
import org.paddleportage.TestData;

/** The table is read back by the toolkit with another CSV reader. */
public class BenchCsvTest {
    @Test
    public void everyMeasurementIsALineWithItsDevice() throws Exception {
        ModelPackage pack = TestData.real("lite-arm");
        Device device = new Device("Maker, \"Phone\" 5", "SoC\n1", "arm64-v8a", "14", "0.1");
        Latency latency = Latency.of(new long[] {12_345_678, 20_000_000, 900_000});
        String csv = BenchCsv.write(
                Arrays.asList(
                        new BenchRow(pack, "v2.14-rc", 1, "high", latency, ""),
                        new BenchRow(pack, "v2.14-rc", 4, "no_bind", latency, "warm, throttled")),
                device);
        TestData.hand("bench.csv", csv);
    }
}
