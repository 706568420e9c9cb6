/* The commands of lyre log. Each returns an enum cmd_exit. */

#ifndef CLI_CMD_LOG_H_
#define CLI_CMD_LOG_H_

/* Peers, clocks, segments, digests and the state of the indexes. */
int cmd_log_ls(int argc, char **argv);

/* What a clock did: its ops and the batches they apply. */
int cmd_log_show(int argc, char **argv);

/* Write the parameters of a clock to a file. */
int cmd_log_export(int argc, char **argv);

/* Let the old part of the logs go. */
int cmd_log_compact(int argc, char **argv);

/* Read every record and check it. */
int cmd_log_verify(int argc, char **argv);

/* Build the index anew from the segments. */
int cmd_log_reindex(int argc, char **argv);

#endif /* CLI_CMD_LOG_H_ */
