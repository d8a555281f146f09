#!/bin/bash
# After slurm.sh: sbatch --dependency=afterok:JOBID examples/cluster/slurm-merge.sh JOBID
# It draws nothing. The registry's signing key is needed here, and on no machine that draws.
#SBATCH --job-name=mace-gov-merge
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=01:00:00
#SBATCH --output=logs/%j.log
set -euo pipefail

shards=()
for index in {1..8}; do
  shards+=("shards/$1/$index")
done
mace-gov audit merge "${shards[@]}" --registry registry --reports reports
