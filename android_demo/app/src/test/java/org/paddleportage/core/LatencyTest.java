package org.paddleportage.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;

import org.junit.Test;
import org.paddleportage.TestData;

public class LatencyTest {
    @Test
    public void percentilesAreTheToolkits() throws Exception {
        StringBuilder found = new StringBuilder();
        for (String line : TestData.lines("latency.txt")) {
            String[] words = line.split(" ");
            long[] nanos = new long[words.length];
            for (int i = 0; i < nanos.length; i++) {
                nanos[i] = Long.parseLong(words[i]);
            }
            Latency latency = Latency.of(nanos);
            assertEquals(nanos.length, latency.runs());
            found.append(latency.medianMs()).append(' ').append(latency.p90Ms()).append(' ');
            found.append(latency.p99Ms()).append('\n');
        }
        TestData.hand("latency.txt", found.toString());
    }

    @Test
    public void noRunsHaveNoLatency() {
        assertThrows(IllegalArgumentException.class, () -> Latency.of(new long[0]));
        assertNull(new LatencyStats(30).latency());
        assertEquals(0, new LatencyStats(30).perSecond(), 0);
    }

    @Test
    public void onlyTheLatestRunsCount() {
        LatencyStats stats = new LatencyStats(3);
        long now = 0;
        for (long ms : new long[] {900, 10, 30, 20}) {
            stats.add(now, now + ms * 1_000_000);
            now += 100_000_000; // a frame each 100 ms
        }
        assertEquals(3, stats.latency().runs());
        assertEquals(20, stats.latency().medianMs(), 0);
        assertEquals(30, stats.latency().p90Ms(), 0);
        // Ends at 110, 230 and 320 ms: two runs in 210 ms.
        assertEquals(2 / 0.21, stats.perSecond(), 1e-9);
        stats.clear();
        assertNull(stats.latency());
    }

    @Test
    public void oneRunHasNoRate() {
        LatencyStats stats = new LatencyStats(30);
        stats.add(0, 5_000_000);
        assertEquals(5, stats.latency().medianMs(), 0);
        assertEquals(0, stats.perSecond(), 0);
    }
}
