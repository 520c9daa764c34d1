package org.paddleportage.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;
import static org.paddleportage.TestData.assertFault;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.Test;

public class ScoresTest {
    @Test
    public void theLikeliestComeFirstAndOfEqualsTheLower() throws Exception {
        float[] logits = {1, 3, 3, -2, 5, 3, 0};
        assertEquals(Arrays.asList(4, 1, 2, 5, 0), indices(Scores.top(logits, 5)));
        assertEquals(4, Scores.decision(logits));
        assertEquals(1, Scores.decision(new float[] {0, 2, 2}));
    }

    @Test
    public void logitsDecideEvenWhereProbabilitiesAreEqual() throws Exception {
        float[] logits = {-1000, -999, 0};
        assertEquals(Arrays.asList(2, 1, 0), indices(Scores.top(logits, 3)));
    }

    @Test
    public void probabilitiesAreThoseOfSoftmaxAndDoNotOverflow() throws Exception {
        List<Guess> top = Scores.top(new float[] {1000, 999, 998}, 5);
        double sum = 1 + Math.exp(-1) + Math.exp(-2);
        assertEquals(3, top.size());
        assertEquals(1 / sum, top.get(0).probability(), 1e-15);
        assertEquals(Math.exp(-2) / sum, top.get(2).probability(), 1e-15);
    }

    @Test
    public void allProbabilitiesSumToOne() throws Exception {
        double sum = 0;
        for (double share : Scores.softmax(new float[] {0.1f, -3, 7, 7, 2})) {
            assertTrue(share > 0);
            sum += share;
        }
        assertEquals(1, sum, 1e-12);
    }

    @Test
    public void numbersThatAreNoneAreAFault() {
        float[] logits = {1, Float.NaN, Float.POSITIVE_INFINITY};
        assertFault(Fault.NON_FINITE, () -> Scores.top(logits, 5), "2 numbers");
    }

    private static List<Integer> indices(List<Guess> guesses) {
        List<Integer> indices = new ArrayList<>();
        for (Guess guess : guesses) {
            indices.add(guess.index());
        }
        return indices;
    }
}
