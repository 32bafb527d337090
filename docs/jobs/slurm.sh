#!/usr/bin/env bash
# One part of a scoring for each task of a job array, and a job that merges them when all are done:
#
#     parts=$(sbatch --parsable --array=1-16 slurm.sh)
#     sbatch --dependency=afterok:$parts slurm.sh merge
#
# MAPS, GT and OUT are taken from the environment; the array's size is the number of parts.
#SBATCH --job-name=attneval
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=02:00:00
#SBATCH --requeue
set -euo pipefail

: "${MAPS:=maps-*.npz}" "${GT:=annotations}" "${OUT:=parts}"
mkdir -p "$OUT"

if [ "${1:-}" = merge ]; then
  # Exactly the result of scoring everything at once; a part that is missing is named.
  exec attneval merge "$OUT"/part-*.json -o "$OUT/whole.json"
fi

part=$SLURM_ARRAY_TASK_ID of=$SLURM_ARRAY_TASK_COUNT
# A file appears when it is whole: a task that was requeued does not repeat what is done.
[ -e "$OUT/part-$part.json" ] && exit 0
# shellcheck disable=SC2086  # MAPS is a pattern
exec attneval score $MAPS --gt "$GT" --jobs 1 --part "$part/$of" -o "$OUT/part-$part.json"
