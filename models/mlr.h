/* Softmax regression ("mlr"): one matrix W (K, J), a row per feature and a
 * column per class.
 *
 *     p = softmax(x W),  loss = -log p[y],  u = p - e_y,  v = x
 *
 * With a bias, every x ends with a constant feature 1, the last row of W.
 *
 * u is sparse if the threshold of the minibatch is not zero (see
 * sv/sparsify.h) and the entries that stay take less memory than all of them
 * would: 8 bytes against 4. Otherwise u is dense and nothing is left out, as at
 * the start, when all classes are equally likely, or with very few classes.
 *
 * The pairs of a minibatch of sparse rows have the same bits whatever the
 * number of threads. So have those of dense rows, whose product is split into
 * the same pieces always, with one and the same build of the BLAS.
 *
 * Creating one sets OpenBLAS to one thread: products are split over the pool.
 */

#ifndef MODELS_MLR_H_
#define MODELS_MLR_H_

#include "models/model.h"

extern const struct model_ops mlr_ops;

#endif /* MODELS_MLR_H_ */
