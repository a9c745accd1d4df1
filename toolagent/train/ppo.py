"""Policy gradients against a reward that is a function: PPO with a value head, GRPO and RLOO without one.

    toolagent train ppo --model runs/sft/model --data data/prompts.jsonl --reward judge.py:score --out runs/ppo

    def score(conversation: Conversation, answer: Message) -> float: ...      # judge.py; the conversation ends where the answer begins

Each step: some prompts, G sampled answers each (train/rollouts.py), their scores, advantages (train/policy.py), `passes` over the answers in
minibatches. Log-probabilities before the first change are taken on the very pieces that are trained on, so the first ratio is exactly 1. The
reference is the model as given: a LoRA's base, else a frozen copy. A run depends on its seed, data and reward alone: stopped at any moment and
resumed, it ends with the same weights, every bit (CPU); kill -9 costs the steps since the last checkpoint.
Left out: several processes, mixed precision, calls that are run, rewards inside of an answer.
"""

from __future__ import annotations

import contextlib
import copy
import json
import pathlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from toolagent import model as models
from toolagent.errors import ToolagentError, UsageError
from toolagent.files import whole_file
from toolagent.train import checkpoint, memory, policy, record, rollouts
from toolagent.train.loop import names
from toolagent.train.rewards import Reward, reward_of, score
from toolagent.train.rollouts import Piece, Prompt
from toolagent.train.watch import Watch


@dataclass
class Args:
    data: tuple[str, ...] = ()
    """conversations (JSONL); the assistant's turn that ends one is dropped, what is left is the prompt"""
    out: str = "runs/ppo"
    model: str = ""
    """a model directory to start from; as it is, it is the reference"""
    lora: int = 0
    """rank of a LoRA on every linear layer (0: all weights)"""
    context: int = 2048
    reward: str = ""
    """module:function or file.py:function, called with (conversation, answer), gives a number"""
    algo: str = "ppo"
    """ppo, grpo or rloo"""
    steps: int = 200
    """rollouts, each trained on before the next"""
    prompts: int = 16
    """prompts a rollout"""
    answers: int = 4
    """answers to each prompt; grpo and rloo compare them"""
    passes: int = 2
    """times that a rollout's answers are trained on"""
    minibatch: int = 32
    """answers an optimiser step"""
    max_tokens: int = 256
    """an answer is cut there"""
    temperature: float = 1.0
    top_p: float = 1.0
    cut_penalty: float = 1.0
    """taken from the score of an answer that was cut before it ended its turn"""
    beta: float = 0.05
    """price of a nat of KL to the reference: in the reward (ppo, rloo) or in the loss (grpo); 0: no reference"""
    kl_target: float = 6.0
    """nats an answer that beta is moved to hold (0: beta stays)"""
    kl_gain: float = 0.1
    """how fast beta moves"""
    clip_low: float = 0.2
    """how far the ratio of probabilities may fall in one rollout"""
    clip_high: float = 0.2
    """how far it may rise"""
    unscaled: bool = False
    """grpo: advantages are not divided by the deviation of their group (Dr. GRPO)"""
    gamma: float = 1.0
    lam: float = 0.95
    """ppo: decay of generalised advantage estimates"""
    value_clip: float = 0.2
    value_weight: float = 0.1
    """ppo: weight of the value head's loss"""
    lr: float = 0.0
    """learning rate at the first step, falling to 0 at the last. 0: 2e-5 for a LoRA, else 2e-6"""
    lr_value: float = 1e-3
    """the value head's"""
    batch_tokens: int = 4096
    batch_rows: int = 64
    checkpoint_every: int = 10
    """steps between checkpoints"""
    limit: int = 0
    """at most so many prompts (0: all)"""
    seed: int = 1
    threads: int = 0
    tensorboard: bool = False
    """write events for TensorBoard to OUT/tensorboard"""
    resume: bool = False


class Actor(torch.nn.Module):
    """The model and, for ppo, a value head on its last states, which says 0 at first."""

    def __init__(self, model: Any, critic: bool) -> None:
        super().__init__()
        self.model = model
        self.head = torch.nn.Linear(model.get_output_embeddings().in_features, 1) if critic else None
        for p in self.head.parameters() if self.head else ():
            torch.nn.init.zeros_(p)

    def measured(self, piece: Piece, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities and values, (n, T) each."""
        head = self.head
        found, values = rollouts.measured(self.model, piece, temperature, (lambda states: head(states).squeeze(-1)) if head else None)
        return found.cpu(), values.cpu()  # what is left to do is small


@dataclass(frozen=True)
class Rollout:
    """N answers of up to T tokens; all (N, T) but what else is said."""

    pieces: list[Piece]
    mask: torch.Tensor
    old: torch.Tensor  # log-probabilities of the policy that sampled
    reference: torch.Tensor
    values: torch.Tensor
    scores: torch.Tensor  # (N,), less the penalty
    ended: torch.Tensor  # (N,) of bools

    def part(self, rows: torch.Tensor) -> Rollout:
        """Some of its answers."""
        return replace(self, pieces=[], **{name: value[rows] for name, value in vars(self).items() if name != "pieces"})


def adapted(beta: float, kl: float, target: float, gain: float = 0.1) -> float:
    """Ziegler et al. 2019, section 2.2: beta (1 + gain e), e = (KL - target) / target within +-0.2. KL in nats an answer."""
    return beta * (1 + gain * min(max((kl - target) / target, -0.2), 0.2)) if target else beta


def advantages(args: Args, rollout: Rollout, beta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """(advantages, the value head's targets), (N, T) each."""
    mask, kl = rollout.mask, policy.k1(rollout.old, rollout.reference)
    if args.algo == "ppo":
        rewards = policy.rewards_with_kl(rollout.scores, kl, mask, beta)
        found, returns = policy.gae(rewards, rollout.values, mask, args.gamma, args.lam)
        return policy.whiten(found, mask), returns
    if args.algo == "rloo":  # Ahmadian et al. 2024: each answer against the mean of the others, G / (G - 1) times against the mean of all
        scores = rollout.scores - beta * kl.masked_fill(~mask, 0.0).sum(-1)
        each = policy.group_advantages(scores.view(-1, args.answers), by_std=False) * args.answers / (args.answers - 1)
    else:
        each = policy.group_advantages(rollout.scores.view(-1, args.answers), by_std=not args.unscaled)
    return torch.where(mask, each.view(-1, 1), 0.0), torch.zeros_like(kl)


def objective(
    args: Args, new: torch.Tensor, values: torch.Tensor, some: Rollout, found: torch.Tensor, returns: torch.Tensor, beta: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """(summed loss, what to divide by) of some answers, all (n, T). `found`: their advantages."""
    mask = some.mask
    if args.algo == "grpo":
        return policy.over_sequences(policy.grpo(new, some.old, some.reference, found[:, 0], args.clip_low, args.clip_high, beta), mask)
    losses = policy.ppo_clip(new, some.old, found, args.clip_low, args.clip_high)
    if args.algo == "rloo":  # sums over answers, all divided by one constant: no length is favoured
        return policy.over_sequences(losses, mask, args.max_tokens)
    return policy.over_tokens(losses + args.value_weight * policy.value_clip(values, some.values, returns, args.value_clip), mask)


# --- the run --------------------------------------------------------------------------------------------------------------------------


def checked(args: Args, reward: Reward | None = None) -> Args:
    """The settings, their rate filled in. Raises UsageError."""
    if not args.model or not args.data or not (args.reward or reward):
        raise UsageError("give --model DIR, --data FILE.jsonl and --reward file.py:function")
    if args.algo not in ("ppo", "grpo", "rloo"):
        raise UsageError(f"--algo {args.algo!r}: use ppo, grpo or rloo")
    if args.answers < 2 and args.algo != "ppo":
        raise UsageError(f"--answers {args.answers}: {args.algo} compares the answers to one prompt, give 2 or more")
    for name in ("steps", "prompts", "answers", "passes", "minibatch", "max_tokens", "temperature", "top_p", "checkpoint_every"):
        if getattr(args, name) <= 0:
            raise UsageError(f"--{name.replace('_', '-')} {getattr(args, name)}: must be above 0")
    return replace(args, lr=args.lr or (2e-5 if args.lora else 2e-6))


def drawn(prompts: Sequence[Prompt], args: Args, place: int) -> list[Prompt]:
    """The prompts of a rollout, `place` having been drawn before: each comes once in an epoch, every epoch in an order of its own."""
    n, places = len(prompts), range(place, place + args.prompts)
    orders = {epoch: random.Random(f"{args.seed}:{epoch}").sample(range(n), n) for epoch in {k // n for k in places}}
    return [prompts[orders[k // n][k % n]] for k in places]


@contextlib.contextmanager
def referring(model: Any, frozen: Any) -> Iterator[Any]:
    """The reference: the frozen copy, or the model without its adapters."""
    with contextlib.nullcontext() if frozen is not None else model.disable_adapter():
        yield model if frozen is None else frozen


@torch.no_grad()
def rolled(
    actor: Actor, frozen: Any, prompts: Sequence[Prompt], args: Args, stops: frozenset[int],
    scored: Callable[[Prompt, tuple[int, ...]], float], generator: torch.Generator,
) -> Rollout:  # fmt: skip
    """Sample, score and measure the answers to these prompts. Without a beta nobody asks the reference, and it says what the policy says."""
    share = models.full_attention(actor.model)
    how = rollouts.Sampling(args.temperature, args.top_p, args.max_tokens)
    ids = [prompt.ids for prompt in prompts]
    answers = rollouts.sample(actor.model, ids, args.answers, how, stops, generator, share, args.batch_rows)
    ended = torch.tensor([answer[-1] in stops for answer in answers])
    scores = torch.tensor([scored(prompts[k // args.answers], answer) for k, answer in enumerate(answers)])
    scores -= args.cut_penalty * ~ended
    pieces = rollouts.pieces(prompts, answers, share, args.batch_tokens, min(args.batch_rows, args.minibatch))
    mask = torch.zeros(len(answers), pieces[0].mask.size(1), dtype=torch.bool)
    old, reference, values = (torch.zeros(mask.shape) for _ in range(3))
    for piece in pieces:
        mask[piece.rows] = piece.mask
        old[piece.rows], values[piece.rows] = actor.measured(piece, args.temperature)
        reference[piece.rows] = old[piece.rows]
        if args.beta:
            with referring(actor.model, frozen) as model:
                reference[piece.rows] = rollouts.measured(model, piece, args.temperature)[0].cpu()
    return Rollout(pieces, mask, old, reference, values, scores, ended)


def minibatches(pieces: Sequence[Piece], size: int) -> list[list[Piece]]:
    """In turn, `size` answers or a few more each; what is left at the end is a minibatch if it is half of one."""
    found: list[list[Piece]] = [[]]
    held = 0
    for piece in pieces:
        if held >= size:
            found, held = [*found, []], 0
        found[-1].append(piece)
        held += len(piece.rows)
    return [*found[:-2], found[-2] + found[-1]] if len(found) > 1 and 2 * held < size else found


def gradient(
    actor: Actor, batch: Sequence[Piece], rollout: Rollout, found: torch.Tensor, returns: torch.Tensor, args: Args, beta: float
) -> tuple[float, float]:
    """Leave the gradient of a minibatch's mean loss in the weights -> (that loss, share of tokens whose ratio lies outside of the clip range)."""
    sums, counts, outside, tokens = 0.0, 0, 0, 0
    for piece in batch:
        some = rollout.part(piece.rows)
        new, values = actor.measured(piece, args.temperature)
        loss, count = objective(args, new, values, some, found[piece.rows], returns[piece.rows], beta)
        loss.backward()
        ratios = (new.detach() - some.old).exp()[some.mask]
        outside += int(((ratios < 1 - args.clip_low) | (ratios > 1 + args.clip_high)).sum())
        sums, counts, tokens = sums + loss.item(), counts + int(count), tokens + len(ratios)
    for p in actor.parameters():
        if p.grad is not None:
            p.grad /= counts
    return sums / counts, outside / tokens


def train(actor: Actor, roll: Callable[[Sequence[Prompt], torch.Generator], Rollout], prompts: Sequence[Prompt], args: Args, out: pathlib.Path,
          say: Callable[[str], None] = print) -> tuple[checkpoint.Progress, dict[str, float]]:  # fmt: skip
    """Train in place -> how far it came, the figures of the last rollout. A checkpoint is of a step's end: stopped in the middle of
    its passes, a step is taken again. log.jsonl is as in watch.py, with a rollout's figures for those of a validation."""
    named = [(n, p) for n, p in actor.named_parameters() if p.requires_grad]
    weights = [p for _, p in named]
    groups = [{"params": [p for n, p in named if n.startswith("head.") == own], "lr": lr} for own, lr in ((False, args.lr), (True, args.lr_value))]
    optimizer = torch.optim.Adam([g for g in groups if g["params"]], eps=1e-5)  # eps: Huang et al. 2022, detail 3
    peaks = [g["lr"] for g in optimizer.param_groups]
    generator = torch.Generator().manual_seed(args.seed)
    path = out / "checkpoint.pt"
    state, beta, figures = checkpoint.Progress(), args.beta, dict[str, float]()
    resumed = args.resume and path.exists()
    if resumed:
        state = checkpoint.restored(path, actor, [optimizer])
        more = torch.load(path, weights_only=True, mmap=True)["rollouts"]
        beta, figures = more["beta"], more["figures"]
        generator.set_state(more["sampler"].clone())
        say(f"resumed at step {state.step}")
    else:
        path.unlink(missing_ok=True)
    sampler = generator.get_state()
    record.write(out, args, weights[0].device, resumed)
    watch = Watch(out, args, say, state, resumed)
    started, whole = time.monotonic() - state.seconds, True  # whole: the weights are those of the last step's end

    def save() -> None:
        state.seconds = time.monotonic() - started
        saved = {"model": checkpoint.trained(actor), "optimizers": [optimizer.state_dict()], "progress": vars(state)}
        checkpoint.put(saved | {"random": torch.get_rng_state(), "rollouts": {"beta": beta, "sampler": sampler, "figures": figures}}, path)

    torch.set_flush_denormal(True)
    try:
        while state.step < args.steps:
            some = drawn(prompts, args, state.batch)
            rollout = roll(some, generator)
            found, returns = advantages(args, rollout, beta)
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * (1 - state.step / args.steps)
            losses, clipped = [], []
            for number in range(args.passes):
                order = random.Random(f"{args.seed}:{state.step}:{number}").sample(rollout.pieces, len(rollout.pieces))
                for batch in minibatches(order, args.minibatch):
                    loss, share = gradient(actor, batch, rollout, found, returns, args, beta)
                    losses.append(loss)
                    clipped.append(share)
                    if not torch.isfinite(torch.nn.utils.clip_grad_norm_(weights, 1.0)):
                        raise ToolagentError(f"the gradient is no number at step {state.step}; prompts of the step: {names(some)}. Lower --lr")
                    whole = False
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
            kl = policy.k1(rollout.old, rollout.reference).masked_fill(~rollout.mask, 0.0).sum(-1).mean().item()
            figures = {"score": rollout.scores.mean().item(), "kl": kl, "beta": beta, "tokens": rollout.mask.sum(-1).float().mean().item()}
            figures |= {"cut": 1 - rollout.ended.float().mean().item(), "clipped": sum(clipped) / len(clipped)}
            beta = adapted(beta, kl, args.kl_target, args.kl_gain)
            state.step, state.rows, state.batch = state.step + 1, state.rows + len(rollout.scores), state.batch + len(some)
            sampler, whole = generator.get_state(), True
            watch.note(step=state.step, loss=sum(losses) / len(losses), rows=state.rows, seconds=time.monotonic() - started, valid=figures)
            watch.scalars(state.step, **{f"rollout_{name}": figure for name, figure in figures.items()})
            say(f"step {state.step}  " + "  ".join(f"{name} {figure:.4g}" for name, figure in figures.items()))
            if state.step % args.checkpoint_every == 0 or state.step == args.steps:
                save()
    except (KeyboardInterrupt, ToolagentError):  # of these, a reward that fails
        if whole:
            save()
        say("stopped" + (f"; {path} is whole: go on with --resume" if path.exists() else " before its first checkpoint"))
        raise
    except (RuntimeError, MemoryError) as error:
        if memory.ran_out(error):
            raise ToolagentError(memory.advice(error, args, state.step, path if path.exists() else None)) from error
        raise
    finally:
        watch.close()
        torch.set_flush_denormal(False)
    return state, figures


def main(args: Args, say: Callable[[str], None] = print, reward: Reward | None = None) -> dict[str, Any]:
    """Run it; returns the summary that is also written to out/run.json. `reward` stands in for --reward."""
    args = checked(args, reward)
    judge = reward or reward_of(args.reward)
    if args.threads:
        torch.set_num_threads(args.threads)
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    model, tokenizer, dialect = models.to_train(args.model, args.lora, out / "base", args.seed)
    files = [pathlib.Path(p) for p in args.data]
    prompts, told = rollouts.read(files, tokenizer, dialect, args.context - args.max_tokens, args.limit)
    say(told)
    stops = rollouts.stops_of(tokenizer, dialect)
    read = rollouts.reader(tokenizer, dialect, stops)
    if torch.cuda.is_available():
        model = model.cuda()
    model.eval()  # without dropout: a ratio is of two policies, not of two masks
    frozen = copy.deepcopy(model).requires_grad_(False) if args.beta and not args.lora else None
    actor = Actor(model, args.algo == "ppo").to(next(model.parameters()).device)

    def roll(some: Sequence[Prompt], generator: torch.Generator) -> Rollout:
        return rolled(actor, frozen, some, args, stops, lambda prompt, ids: score(judge, prompt, read(ids)), generator)

    state, figures = train(actor, roll, prompts, args, out, say)
    summary = {"args": asdict(args), "parameters": sum(p.numel() for p in model.parameters()), "steps": state.step, "prompts": len(prompts)}
    summary |= {"minutes": state.seconds / 60, "last": figures}
    models.save(model, tokenizer, out / "model", dialect)
    with whole_file(out / "run.json") as file:
        file.write(json.dumps(summary, indent=1) + "\n")
    return summary
