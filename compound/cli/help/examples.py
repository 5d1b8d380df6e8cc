"""Two examples for the help of every verb. A test reads each as the command would."""

EXAMPLES: dict[str, tuple[str, str]] = {
    "fit": (
        "compound fit photos/ --macs 200M --minutes 30",
        "compound fit photos/ --weights auto --macs 1G",
    ),
    "zoo": ("compound zoo", "compound zoo mobilenet"),
    "show": ("compound show efficientnet-b0", "compound show resnet-50 --yaml"),
    "scale": ("compound scale efficientnet-b0 --phi 1", "compound scale resnet-50 --width 0.5 -o half.yaml"),
    "plan": (
        "compound plan efficientnet-b0 --macs 1G --params 8M",
        "compound plan efficientnet-b0 --latency 20ms --device here.json",
    ),
    "measure networks": (
        "compound measure efficientnet-b0 resnet-50",
        "compound measure runs/my-run --runtime eager,onnxruntime",
    ),
    "measure device": (
        "compound measure device -o here.json",
        "compound measure device -o openvino.json --runtime openvino",
    ),
    "measure kit": (
        "compound measure kit -o kit/",
        "compound measure kit -o kit/ --family efficientnet-lite0 --samples 24 --span 1.5",
    ),
    "data check": ("compound data check photos/", "compound data check fashion6k"),
    "data audit": ("compound data audit runs/my-run", "compound data audit said.npz -o audit --shown 100"),
    "data cache": ("compound data cache photos/ -o photos.cache", "compound data cache fashion6k -o fashion6k.cache"),
    "data make": (
        "compound data make letters /usr/share/fonts -o letters",
        "compound data make emoji noto/package twemoji/package -o emoji --size 96",
    ),
    "data index": ("compound data index shards/", "compound data index shards/ --json"),
    "train": (
        "compound train efficientnet-b0 photos/ --epochs 20 --lr auto",
        "compound train resnet-18 photos/ --weights auto --train head",
    ),
    "resume": ("compound resume runs/my-run", "compound resume runs/study-width-on-my-net-photos"),
    "shrink": (
        "compound shrink runs/my-run --macs 100M",
        "compound shrink runs/my-run --latency 5ms --device here.json --minutes 10",
    ),
    "repeat": ("compound repeat runs/my-run", "compound repeat runs/my-run -o runs/again --device cpu"),
    "probe": (
        "compound probe efficientnet-lite0 photos/ --weights lite0.pth --folds 5",
        "compound probe runs/my-run photos/ --shots 5",
    ),
    "predict": (
        "compound predict runs/my-run photo.jpg",
        "compound predict runs/my-run photos/ --csv predictions.csv",
    ),
    "export": ("compound export runs/my-run --to onnx", "compound export runs/my-run --to auto"),
    "serve": ("compound serve runs/my-run", "compound serve small=runs/a large=runs/b --port 9000"),
    "runs": ("compound runs", "compound runs my-runs/ --json"),
    "evaluate": (
        "compound evaluate resnet-50 photos/ --weights torchvision/resnet50",
        "compound evaluate runs/a runs/b photos/ imagenet-r=renditions/ --csv table.csv",
    ),
    "compare": ("compound compare runs/a runs/b", "compound compare runs/a runs/b photos/"),
    "explain": (
        "compound explain runs/my-run photo.jpg",
        "compound explain runs/a runs/b photo.jpg --compare --class top:1",
    ),
    "drift": ("compound drift scores.jsonl runs/my-run", "compound drift scores.jsonl runs/my-run --last 1000 --json"),
    "report": ("compound report runs/my-run", "compound report runs/a runs/b -o both.html --files figures"),
    "search coefficients": (
        "compound search coefficients efficientnet-mini fashion6k",
        "compound search coefficients my-net.yaml photos/ --out runs/coefficients",
    ),
    "search architecture": (
        "compound search architecture fashion6k --macs 10M",
        "compound search architecture photos/ --space mnasnet --latency 5ms --device here.json",
    ),
    "search validate": (
        "compound search validate runs/search",
        "compound search validate runs/search --sample 10 --seeds 2",
    ),
    "search predict": (
        "compound search predict runs/search my-net.yaml",
        "compound search predict runs/search efficientnet-mini my-net.yaml --json",
    ),
    "search transfer": (
        "compound search transfer efficientnet-lite0 photos/ --weights lite0.pth",
        "compound search transfer resnet-18 photos/ --weights auto",
    ),
    "study": (
        "compound study efficientnet-mini fashion6k --estimate",
        "compound study efficientnet-mini fashion6k --plan width-on --seeds 3",
    ),
    "doctor": ("compound doctor", "compound doctor efficientnet-b0 --resolution 96 --threads 1"),
    "forecast": ("compound forecast runs/study --phi 3", "compound forecast runs/study --macs 100M"),
    "table": ("compound table 2", "compound table 1 --csv"),
    "figure": ("compound figure 1", "compound figure 8 runs/study -o figure-8.svg"),
}
