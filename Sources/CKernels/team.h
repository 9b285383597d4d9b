/// Sharing the parts of one call over the threads of a team.
#pragma once

#include "kernels.h"

#pragma clang assume_nonnull begin

/// Computes part `index` of a call; `worker` is below the team's threads and no other part's
/// meanwhile.
typedef void (*ck_part)(const void *call, size_t index, unsigned worker);

/// Runs parts `0 ..< count`, each once, on any threads in any order, and waits for the last.
void ck_team_run(ck_team *team, ck_part part, const void *call, size_t count);

const ck_kernels *ck_team_kernels(const ck_team *team);
unsigned ck_team_threads(const ck_team *team);

#pragma clang assume_nonnull end
