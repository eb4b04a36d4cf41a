/* An epidemic: dS/dt = -b S I, dI/dt = b S I - g I, in shares of the population, by Runge and Kutta's method.

   cc -O2 -o epidemic examples/programs/epidemic.c
   ./epidemic 0.4 0.1 0.001

   is told b and g (1/day) and the share I that is ill at the start, and prints day and I as CSV. */
#include <stdio.h>
#include <stdlib.h>

#define DAYS 200
#define STEPS 100 /* in a day */

static double b, g;

static void slope(const double y[2], double f[2]) {
    f[0] = -b * y[0] * y[1];
    f[1] = b * y[0] * y[1] - g * y[1];
}

static void step(double y[2], double h) {
    static const double share[4] = {1, 2, 2, 1}, reach[4] = {0.5, 0.5, 1, 0};
    double at[2] = {y[0], y[1]}, sum[2] = {0, 0}, f[2];
    for (int stage = 0; stage < 4; stage++) {
        slope(at, f);
        for (int k = 0; k < 2; k++) {
            sum[k] += share[stage] * f[k];
            at[k] = y[k] + h * reach[stage] * f[k];
        }
    }
    for (int k = 0; k < 2; k++)
        y[k] += h / 6 * sum[k];
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: epidemic b g ill\n");
        return 2;
    }
    b = atof(argv[1]);
    g = atof(argv[2]);
    double y[2] = {1 - atof(argv[3]), atof(argv[3])};
    printf("day,ill\n0,%.17g\n", y[1]);
    for (int day = 1; day <= DAYS; day++) {
        for (int k = 0; k < STEPS; k++)
            step(y, 1.0 / STEPS);
        printf("%d,%.17g\n", day, y[1]);
    }
    return 0;
}
