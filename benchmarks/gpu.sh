#!/usr/bin/env bash
# What only an NVIDIA card can show: tests of CUDA kernels and of exact resume on a card, and the benchmarks of docs/performance.md that stand there as unmeasured.
# `benchmarks/gpu.sh FOLDER` keeps what each part prints in FOLDER/<part>.txt; a part that has finished is not run again, so a run that was cut off goes on.
set -uo pipefail
folder=${1:?name a folder for the results}
python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || { echo "no CUDA device" >&2; exit 1; }
mkdir -p "$folder"
failed=0

part() { # name, command...
	local name=$1
	shift
	[ -e "$folder/$name.txt" ] && return
	echo "$name: $*"
	if "$@" 2>&1 | tee "$folder/$name.unfinished"; then mv "$folder/$name.unfinished" "$folder/$name.txt"; else failed=1; fi
}

paper=(--device cuda --backbone resnet50 --side 1024 --tiles 2 --layers 6 --width 256 --objects 50)
part tests python -m pytest -q tests/nn/test_triton_sampling.py tests/geometry/test_iou_torch.py tests/training/test_resume_of_stages.py
part deformable_attention python benchmarks/deformable_attention.py --device cuda
part training_step python benchmarks/training_step.py "${paper[@]}"
part loader python benchmarks/loader.py "${paper[@]}" --workers 0 2 4 8
part masks python benchmarks/masks.py --device cuda --model vit_h --side 1024 --points 32 --quantiles --tiles 16 --processes 4
exit "$failed"
