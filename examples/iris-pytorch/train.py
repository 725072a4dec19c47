"""Trains a small network on the Iris data. Runs by itself (`python3 train.py`) and, unchanged, under gpu-run."""

import json
import os
import signal
import sys
from pathlib import Path

from data import MEASUREMENTS, SPECIES, fit_scaling, read_rows, scale_rows, split_rows

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # CUDA computes the same twice only with this
try:
    import torch
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    print(
        f"This example needs PyTorch, and {sys.executable} has none. Install it with\n"
        "  pip install torch                 (Debian and Ubuntu also: apt-get install python3-torch)\n"
        "or name a Python that has it: gpu-run train -- /usr/bin/python3 train.py",
        file=sys.stderr,
    )
    sys.exit(78)

SETTINGS = {"seed": 7, "epochs": 100, "batch_size": 4, "learning_rate": 0.001}
WANTED_ACCURACY = 0.93
CHECKPOINT_EVERY = 10

# gpu-run gives every job these two. Without them there is nothing to resume, and checkpoints go to the outputs.
HERE = Path(__file__).resolve().parent
OUTPUTS = HERE / "outputs"
CHECKPOINTS = HERE / (os.environ.get("GPU_RUN_CHECKPOINT_DIR") or "outputs/checkpoints")
RESUME_FROM = os.environ.get("GPU_RUN_RESUME_FROM") or os.environ.get("GPU_RUN_CHECKPOINT_DIR")

stop_signal = None


def ask_to_stop(number, _frame):
    global stop_signal
    stop_signal = number


def main():
    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"PyTorch {torch.__version__} on {torch.cuda.get_device_name() if device.type == 'cuda' else 'the CPU'}", file=sys.stderr)
    torch.manual_seed(SETTINGS["seed"])
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)  # the tensors are tiny: more threads would only wait for each other

    train, validation, test = split_rows(read_rows(HERE / "data" / "iris.csv"), SETTINGS["seed"])
    scaling = fit_scaling(train)
    train, validation = to_tensors(train, scaling, device), to_tensors(validation, scaling, device)

    model = build_model().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=SETTINGS["learning_rate"], momentum=0.9)
    for epoch in range(resume(model, optimizer) + 1, SETTINGS["epochs"] + 1):
        loss, acc = train_epoch(model, optimizer, *train)
        val_loss, val_acc = evaluate(model, *validation)
        print_metrics(epoch=epoch, loss=loss, acc=acc, val_loss=val_loss, val_acc=val_acc)
        if stop_signal or epoch % CHECKPOINT_EVERY == 0 or epoch == SETTINGS["epochs"]:
            save_checkpoint(model, optimizer, epoch, scaling)
        if stop_signal:
            print(f"Asked to stop: saved epoch {epoch} of {SETTINGS['epochs']} to {CHECKPOINTS}", file=sys.stderr)
            return 128 + stop_signal
    return report(model, *to_tensors(test, scaling, device))  # the one look at the test rows


def to_tensors(rows, scaling, device):
    features, labels = zip(*scale_rows(rows, scaling))
    return torch.tensor(features, device=device), torch.tensor(labels, device=device)


def build_model():
    return torch.nn.Sequential(
        torch.nn.Linear(len(MEASUREMENTS), 16),
        torch.nn.ReLU(),
        torch.nn.Linear(16, 16),
        torch.nn.ReLU(),
        torch.nn.Linear(16, len(SPECIES)),
    )


def train_epoch(model, optimizer, features, labels):
    """Every row once, in random order. Returns the mean loss and accuracy as seen while learning."""
    loss_sum = correct = 0
    for batch in torch.randperm(len(labels)).to(labels.device).split(SETTINGS["batch_size"]):
        logits = model(features[batch])
        loss = torch.nn.functional.cross_entropy(logits, labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(batch)
        correct += (logits.argmax(1) == labels[batch]).sum().item()
    return loss_sum / len(labels), correct / len(labels)


def evaluate(model, features, labels):
    with torch.no_grad():
        logits = model(features)
        loss = torch.nn.functional.cross_entropy(logits, labels).item()
        return loss, (logits.argmax(1) == labels).float().mean().item()


def save_checkpoint(model, optimizer, epoch, scaling):
    """Tensors and text alone, so that loading it can't run code. A process that dies while saving costs no older one."""
    progress = json.dumps({"settings": SETTINGS, "epoch": epoch, "scaling": scaling})
    momentum = optimizer.state_dict()["state"]
    CHECKPOINTS.mkdir(parents=True, exist_ok=True)
    fresh = CHECKPOINTS / "checkpoint.pt.new"
    with open(fresh, "wb") as file:
        torch.save({"model": model.state_dict(), "momentum": momentum, "random": torch.get_rng_state(), "progress": progress}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, CHECKPOINTS / "checkpoint.pt")


def resume(model, optimizer):
    """Goes on from an unfinished run with the same settings. Returns the epochs that are done already."""
    if not RESUME_FROM or not (HERE / RESUME_FROM / "checkpoint.pt").exists():
        return 0
    saved = torch.load(HERE / RESUME_FROM / "checkpoint.pt", map_location="cpu", weights_only=True)
    progress = json.loads(saved["progress"])
    if progress["settings"] != SETTINGS or progress["epoch"] >= SETTINGS["epochs"]:
        return 0
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict({**optimizer.state_dict(), "state": saved["momentum"]})
    torch.set_rng_state(saved["random"])
    print(f"Going on after epoch {progress['epoch']} of {RESUME_FROM}", file=sys.stderr)
    return progress["epoch"]


def report(model, features, labels):
    loss, acc = evaluate(model, features, labels)
    print_metrics(test_loss=loss, test_acc=acc)
    metrics = {**SETTINGS, "test_rows": len(labels), "test_loss": round(loss, 4), "test_acc": round(acc, 4)}
    OUTPUTS.mkdir(exist_ok=True)
    (OUTPUTS / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    if acc >= WANTED_ACCURACY:
        return 0
    print(f"The test accuracy of {acc:.4f} is below the {WANTED_ACCURACY} that this example promises.", file=sys.stderr)
    return 1


def print_metrics(**values):
    """A JSON object alone on its line: gpu-run reads these as metrics."""
    line = {name: round(value, 4) for name, value in values.items()}
    print(json.dumps(line, separators=(",", ":")), flush=True)


if __name__ == "__main__":
    sys.exit(main())
