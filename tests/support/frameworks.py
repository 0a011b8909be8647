# SPDX-License-Identifier: Apache-2.0
"""Trainings with real frameworks on the CPU, each with a component that is at odds with it.

Each counts what reaches `Run.log`, before the hook sees it, and leaves it in `sent.json`.
It replaces every number, except those of axes, by the next one of a counter: unique, and the
same in each process, also for losses and timings.
"""

import textwrap

from support.matrix import Cell

# torch is pinned: other versions may bring CUDA, several gigabytes. The rest is unpinned, the
# newest versions that pip can install together: on 2026-11-27 transformers 5.24.0, trl 1.16.0,
# datasets 5.2.0, lightning 2.6.6, accelerate 1.15.0, keras 3.15.1, wandb 0.31.0.
# The last three are for their values alone (`support.odd_values`).
REQUIREMENTS = ("torch==2.13.0", "transformers", "trl", "datasets", "lightning", "accelerate",
                "keras", "wandb", "numpy", "jax", "polars", "omegaconf")  # fmt: skip
CELL = Cell("3.11", "", REQUIREMENTS, "frameworks")

PRELUDE = """
    import itertools, json, os, torch, wandb
    sent, rank = [], os.environ.get("RANK", "0")
    AXES = "global_step", "train/global_step", "trainer/global_step", "batch/batch_step"
    numbers = itertools.count(int(rank) * 1_000_000)
    def is_number(value):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    def unique(key, value):
        replaced = is_number(value) and key not in AXES
        return type(value)(next(numbers)) if replaced else value
    logs = wandb.sdk.wandb_run.Run.log
    def log(self, data, step=None, commit=None):
        data = {key: unique(key, value) for key, value in data.items()}
        sent.append([{k: v for k, v in data.items() if is_number(v)}, step])
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
    "TRL, rewards and a late callback": """
        os.environ["HF_HUB_OFFLINE"] = "1"
        from datasets import Dataset
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import (
            GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, TrainerCallback,
        )
        from trl import GRPOConfig, GRPOTrainer
        words = "<pad> <eos> <unk> one two three four five six".split()
        inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "<unk>"))
        inner.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=inner, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>",
        )
        config = GPT2Config(
            vocab_size=len(words), n_positions=32, n_embd=16, n_layer=2, n_head=2,
            bos_token_id=1, eos_token_id=1,
        )
        def reward(completions, **_):
            wandb.log({"reward/completions": len(completions)})
            return [float(text.count("one")) for text in completions]
        class Late(TrainerCallback):
            def on_step_end(self, args, state, control, **_):
                wandb.log({"late": state.global_step}, step=state.global_step - 1)
        arguments = GRPOConfig(
            "out", max_steps=24, per_device_train_batch_size=4, num_generations=2,
            max_completion_length=6, logging_steps=1, log_completions=True, report_to=["wandb"],
            use_cpu=True, bf16=False, disable_tqdm=True, save_strategy="no",
        )
        prompts = [{"prompt": f"{a} {b}"} for a in words[3:] for b in words[3:]]
        GRPOTrainer(
            GPT2LMHeadModel(config), reward, arguments, Dataset.from_list(prompts),
            processing_class=tokenizer, callbacks=[Late()],
        ).train()
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
    # wandb's callback imports TensorFlow only for two types and for `tensorflow.keras`, which
    # is Keras. Stand-ins for these names save the install of TensorFlow; callback and Keras
    # are the real ones, on torch.
    "Keras, callback a step late": """
        import sys, types
        os.environ["KERAS_BACKEND"] = "torch"
        import keras
        names = {"keras": keras, "Variable": keras.Variable, "Tensor": torch.Tensor}
        sys.modules["tensorflow"] = types.SimpleNamespace(**names)
        sys.modules["tensorflow.keras"] = keras
        from wandb.integration.keras import WandbMetricsLogger
        del sys.modules["tensorflow"], sys.modules["tensorflow.keras"]
        class Late(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                wandb.log({"mine": batch}, step=batch)
                wandb.log({"late": batch}, step=batch - 1)
        wandb.init(project="p")
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        x, labels = (torch.stack([d[name] for d in DATA]).numpy() for name in ("x", "labels"))
        callbacks = [WandbMetricsLogger(log_freq=2), Late()]
        model.fit(x, labels, batch_size=4, verbose=0, callbacks=callbacks)
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
