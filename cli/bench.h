/* The measurements of lyre bench. Each is a command of its own. */

#ifndef CLI_BENCH_H_
#define CLI_BENCH_H_

/* Dense and sparse applies with every instruction set of this machine. Returns
 * an enum cmd_exit. */
int bench_apply(int argc, char **argv);

/* Latency and bandwidth of the network's providers. Returns an enum cmd_exit.
 */
int bench_link(int argc, char **argv);

#endif /* CLI_BENCH_H_ */
