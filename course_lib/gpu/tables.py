"""A record as a reader wants it: sentences and tables in Markdown, one block for each topic."""

from collections.abc import Callable, Iterable

from .reading import (
    LEFT,
    RIGHT,
    best,
    between,
    missing,
    power,
    rows_of,
    share,
    table,
    tera,
)  # fmt: skip

NOT_YET = "Not measured yet: no record of `make gpu` on a card has been committed."


def as_text(record: dict) -> str:
    """All blocks, and what was not measured."""
    return "\n\n".join([*(make(record) for make in BLOCKS.values()), *_gaps(record)])


def block(record: dict | None, name: str) -> str:
    """One block by name; without a record it says so."""
    return NOT_YET if record is None else BLOCKS[name](record)


def _machine(record: dict) -> str:
    found = rows_of(record, "machine")
    about = found.get("machine")
    if not about:
        return missing(record, "machine")
    where = about.get("gpu") or f"{about.get('processor', 'unknown')} (no card: a trial)"
    keys = {"driver": "driver", "CUDA": "cuda", "torch": "torch", "Python": "python"}
    keys["transformers"] = "transformers"
    versions = [f"{name} {about[key]}" for name, key in keys.items() if about.get(key)]
    text = f"On {where}, {record['when'][:10]}, in {record['seconds'] / 60:.1f} minutes: "
    text += f"{', '.join(versions)}."
    limits = []
    for dtype in ("bfloat16", "float32"):
        if rate := best(record, f"products, {dtype}"):
            n = found[f"products, {dtype}"]["size"]
            limits.append(f"products of {n:,} × {n:,} in {dtype} {tera(rate)}FLOP/s")
    if rate := best(record, "copy"):
        limits.append(f"a copy in its memory, counting what is read and written, {tera(rate)}B/s")
    if limits:
        text += f" Its limits, measured in the same run: {'; '.join(limits)}."
    products, bytes_moved = best(record, "products, bfloat16"), best(record, "copy")
    if products and bytes_moved:
        text += (
            f" So it does {products / bytes_moved:,.0f} operations in bfloat16 for each byte moved."
        )
    return text


def _components(record: dict) -> str:
    rows = list(rows_of(record, "components").values())
    if not rows:
        return missing(record, "components")
    n_right = sum(bool(row.get("passed")) for row in rows)
    text = f"Checks of our components on {record['device']}: {n_right} of {len(rows)} hold."
    elsewhere = [f"`{row['name']}`" for row in rows if row.get("is_on_device") is False]
    if elsewhere:
        text += f" Of these, {len(elsewhere)} put nothing on a device: {', '.join(elsewhere)}."
    for row in rows:
        if not row.get("passed"):
            why = (row.get("error") or row["message"]).replace("\n", "\n    ")
            text += f"\n\n    {row['name']}: {why}"
    return text


def _equality(record: dict) -> str:
    rows = rows_of(record, "equality")
    if not rows:
        return missing(record, "equality")
    head = {"model": LEFT, "on": LEFT, "numbers": LEFT, "logits": RIGHT, "loss": RIGHT}
    head |= {"gradient": RIGHT, "allowed": RIGHT, "": LEFT}
    lines = table(head, (_compared(row) for row in rows.values() if "tolerance" in row))
    lines.append("")
    for name, row in rows.items():
        if name.startswith("tokens"):
            said = row.get("error") or f"{row['n_same']} of {row['n_tokens']} are the CPU's."
            lines.append(f"- The likeliest tokens, {row['form']}, {row['way']}: {said}")
    return "\n".join(lines)


def _compared(row: dict) -> list[str]:
    about = [row["form"], row["device"], row["kind"]]
    if "error" in row:
        return [*about, row["error"]]
    apart = [power(row["apart"].get(name)) for name in ("logits", "loss", "gradient")]
    return [*about, *apart, power(row["tolerance"]), "agrees" if row["agrees"] else "**differs**"]


def _training(record: dict) -> str:
    rows = rows_of(record, "training")
    about = rows.pop("setting", None)
    if not about:
        return missing(record, "training")
    operations, products = about["operations_per_token"], best(record, "products, bfloat16")
    head = {"training": LEFT, "tokens/s (lowest to highest)": RIGHT, "share of products": RIGHT}
    head |= {"memory at most": RIGHT, "first step": RIGHT}

    def cells(row: dict) -> list[str]:
        if "error" in row:
            return [row["name"], row["error"]]
        rate, peak = row["tokens_per_second"], row["peak_bytes"]
        memory = f"{peak / 2**30:.1f} GiB" if peak else "—"
        first = f"{row['first_step_seconds']:.1f} s"
        of_products = share(rate["median"] * operations, products)
        return [row["name"], between(rate), of_products, memory, first]

    intro = (
        f"{about['n_parameters']:,} parameters, {about['n_rows']} rows of {about['n_tokens']:,} "
        f"tokens, {about['dtype']} over float32 weights; {operations / 1e6:,.3g} million "
        "operations for each token."
    )
    return "\n".join([intro, "", *table(head, map(cells, rows.values()))])


def _decoding(record: dict) -> str:
    return "\n\n".join(_one_batch(record, section) for section in ("decode-1", "decode-8"))


def _one_batch(record: dict, section: str) -> str:
    rows = rows_of(record, section)
    about, agreement = rows.pop("setting", None), rows.pop("agreement", None)
    if not about:
        return missing(record, section)
    n_bytes, memory = about["bytes_per_text"], best(record, "copy")
    head = {"decoding": LEFT, "tokens/s (lowest to highest)": RIGHT, "share of memory": RIGHT}
    head["first text"] = RIGHT

    def cells(row: dict) -> list[str]:
        if "error" in row:
            return [row["name"], row["error"]]
        of_memory = share(n_bytes / row["seconds"]["median"], memory)
        rate, first = between(row["tokens_per_second"]), f"{row['first_seconds']:.1f} s"
        return [row["name"], rate, of_memory, first]

    intro = (
        f"Batch {about['n_rows']}: {about['n_new']} tokens after {about['n_prompt']}, all in "
        f"{about['dtype']}; each step reads {n_bytes / about['n_new'] / 1e6:,.3g} MB. "
    )
    intro += _agreement(agreement)
    return "\n".join([intro, "", *table(head, map(cells, rows.values()))])


def _agreement(row: dict | None) -> str:
    if not row or "error" in row:
        return f"Not compared with the peer: {row['error'] if row else 'not measured'}."
    said = "agree" if row["agrees"] else "do NOT agree"
    return f"Ours and theirs {said}: their logits are {row['apart']:.2g} of the spread apart."


def _commands(record: dict) -> str:
    rows = rows_of(record, "commands")
    if not rows:
        return missing(record, "commands")
    head = {"model": LEFT, "on": LEFT, "parameters": RIGHT, "steps": RIGHT, "loss": RIGHT}
    head |= {"validation": RIGHT, "tokens/s (lowest to highest)": RIGHT, "first step": RIGHT}
    trained = (row for name, row in rows.items() if name.startswith("train"))
    lines = [*table(head, map(_trained, trained)), ""]
    for name, row in rows.items():
        if name.startswith("resume"):
            said = row.get("error") or f"to step {row['step']}, validation loss "
            said += "" if "error" in row else f"{row['validation_loss']:.3f}"
            lines.append(f"- The default run goes on, on {row['device']}: {said}")
    if both := rows.get("generate, the likeliest, both"):
        said = both.get("error") or ("the same text" if both["agrees"] else "texts that differ")
        lines.append(f"- The likeliest tokens, on the CPU and on {record['device']}: {said}")
    if "text" in (sample := rows.get("generate", {})):
        lines += ["", "What the default model writes:", "", "```none"]
        lines += [*sample["text"].strip("\n").splitlines(), "```"]
    return "\n".join(lines)


def _trained(row: dict) -> list[str]:
    if "error" in row:
        return [row["size"], row["device"], row["error"]]
    return [
        row["size"], row["device"], f"{row['n_parameters']:,}", str(row["n_steps"]),
        f"{row['first_loss']:.3f} to {row['last_loss']:.3f}", f"{row['validation_loss']:.3f}",
        between(row["tokens_per_second"]), f"{row['first_step_seconds']:.1f} s",
    ]  # fmt: skip


def _gaps(record: dict) -> Iterable[str]:
    for name, found in record["sections"].items():
        if found["state"] != "measured":
            yield f"Section {name} is {found['state']}: {found['reason']}"


BLOCKS: dict[str, Callable[[dict], str]] = {
    "machine": _machine,
    "components": _components,
    "equality": _equality,
    "training": _training,
    "decoding": _decoding,
    "commands": _commands,
}
