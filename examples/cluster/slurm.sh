#!/bin/bash
# An audit on eight GPUs: sbatch examples/cluster/slurm.sh MODEL policies/nsfw.yaml BASE
# When it is through, a job that depends on all of them merges what they drew, signs it and gates it.
#SBATCH --job-name=mace-gov-audit
#SBATCH --array=1-8
#SBATCH --gpus=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=24G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --output=logs/%A-%a.log
set -euo pipefail

model=$1 policy=$2 base=$3
shards=shards/$SLURM_ARRAY_JOB_ID
mkdir -p "$shards"

export MACE_GOV_LOG=json MACE_GOV_METRICS="$shards/$SLURM_ARRAY_TASK_ID.prom"
# The N is given, not taken from the array: so `sbatch --array=3` runs the third shard again alone.
mace-gov audit "$model" --policy "$policy" --base "$base" --shard auto/8 --out "$shards/$SLURM_ARRAY_TASK_ID"
