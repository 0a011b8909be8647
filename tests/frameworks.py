# SPDX-License-Identifier: Apache-2.0
"""Trainings with real frameworks on the CPU, each with a component that is at odds with it.

Each counts what reaches `Run.log`, before the hook sees it, and leaves it in `sent.json`.
"""

import textwrap

REQUIREMENTS = ("torch==2.13.0", "transformers", "lightning", "accelerate", "wandb", "numpy")
PYTHON = "3.11"

PRELUDE = """
    import json, os, torch, wandb
    sent, rank = [], os.environ.get("RANK", "0")
    logs = wandb.sdk.wandb_run.Run.log
    def log(self, data, step=None, commit=None):
        sent.append([{k: v for k, v in data.items() if isinstance(v, (int, float))}, step])
        return logs(self, data, step=step, commit=commit)
    wandb.sdk.wandb_run.Run.log = log
    torch.manual_seed(0)
    DATA = [{"x": torch.randn(4), "labels": torch.randn(())} for _ in range(240)]
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(4, 1)
        def forward(self, x, labels):
            out = self.linear(x).squeeze(-1)
            return {"loss": ((out - labels) ** 2).mean(), "logits": out}
"""

CODA = """
    wandb.finish()
    with open("sent.json" if rank == "0" else f"sent.{rank}.json", "w") as file:
        json.dump(sent, file)
"""

TRAININGS = {
    "transformers, callback a step late": """
        from transformers import Trainer, TrainerCallback, TrainingArguments
        class Late(TrainerCallback):
            def on_step_end(self, args, state, control, **_):
                if wandb.run:
                    wandb.log({"mine": state.global_step}, step=state.global_step)
                    wandb.log({"late": state.global_step}, step=state.global_step - 1)
        arguments = TrainingArguments(
            "out", num_train_epochs=1, per_device_train_batch_size=4, logging_steps=2,
            report_to=["wandb"], use_cpu=True, disable_tqdm=True, save_strategy="no",
        )
        Trainer(Model(), arguments, train_dataset=DATA, callbacks=[Late()]).train()
    """,
    "Lightning, steps of one's own": """
        import lightning, warnings
        from lightning.pytorch.loggers import WandbLogger
        warnings.simplefilter("ignore")
        class Module(lightning.LightningModule):
            def __init__(self):
                super().__init__()
                self.model = Model()
            def training_step(self, batch, index):
                loss = self.model(**batch)["loss"]
                self.log("loss", loss)
                wandb.log({"late": index}, step=index - 1)
                wandb.log({"mine": index}, step=index)
                return loss
            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), 0.01)
        loader = torch.utils.data.DataLoader(DATA, batch_size=4)
        lightning.Trainer(
            max_epochs=1, accelerator="cpu", log_every_n_steps=2, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, logger=WandbLogger(project="p"),
        ).fit(Module(), loader)
    """,
    "accelerate, evaluation behind": """
        from accelerate import Accelerator
        accelerator = Accelerator(log_with="wandb", cpu=True)
        accelerator.init_trackers("p")
        for step in range(60):
            accelerator.log({"loss": 1 / (step + 1)}, step=step)
            if step % 5 == 4:
                accelerator.log({"eval": step}, step=step - 4)
        accelerator.end_training()
    """,
    "GRPO-style, steps and none": """
        wandb.init(project="p")
        for step in range(60):
            wandb.log({"rollout/reward": step / 7})
            wandb.log({"train/loss": 1 / (step + 1), "train/kl": step / 3}, step=step)
            wandb.log({"rollout/length": step + 100})
    """,
    "torchrun, two processes": """
        wandb.init(project="p", group="ranks")
        model = Model()
        for step in range(60):
            wandb.log({"loss": float(rank) + step}, step=step)
            if step:
                wandb.log({"late": step}, step=step - 1)
    """,
    "wandb.watch, callback a step late": """
        run, model = wandb.init(project="p"), Model()
        run.watch(model, log="all", log_freq=5)
        for step in range(60):
            loss = model(DATA[step]["x"], DATA[step]["labels"])["loss"]
            loss.backward()
            wandb.log({"loss": loss.item()}, step=step)
            if step:
                wandb.log({"late": step}, step=step - 1)
    """,
}


def script(training):
    """The training as one script."""
    return "".join(map(textwrap.dedent, (PRELUDE, training, CODA)))
