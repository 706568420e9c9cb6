#include "models/model.h"

#include <string.h>

#include "models/mlr.h"

static const struct model_ops *const MODELS[] = {&mlr_ops, NULL};

const struct model_ops *model_find(const char *name)
{
    for (size_t i = 0; MODELS[i] != NULL; i++) {
        if (strcmp(MODELS[i]->name, name) == 0) {
            return MODELS[i];
        }
    }
    return NULL;
}

const struct model_ops *model_at(size_t i)
{
    return i < sizeof MODELS / sizeof *MODELS ? MODELS[i] : NULL;
}
