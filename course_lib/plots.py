"""Every figure of the course. The only module that imports matplotlib.

Each function returns a `Picture`: the last line of a cell shows it. Colours are safe for the
colour-blind, the page behind is always white, and the letters are large enough for a phone.
"""

import io
import math
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

INK = "#222222"
FORBIDDEN = "#e6e6e6"
ALLOWED = "#0072b2"
QUERIES = "queries: who reads"
KEYS = "keys: who is read"
# Okabe and Ito's palette, darkest first; the line styles tell the curves apart without colour.
CURVES = [
    ("#0072b2", "-"),
    ("#d55e00", "--"),
    ("#009e73", "-."),
    ("#cc79a7", ":"),
    ("#222222", (0, (5, 1, 1, 1, 1, 1))),
]
HEADS = ["#bcdff5", "#f7d9a8", "#c4e8d1", "#f0d3e2"]  # pale, so that numbers on them can be read
STYLE = {
    "font.size": 14,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 2.5,
}


class Picture(Figure):
    """A figure that a notebook shows without pyplot and its hidden list of open figures."""

    def _repr_png_(self) -> bytes:
        png = io.BytesIO()
        self.savefig(
            png, format="png", dpi=150, facecolor="white", bbox_inches="tight", pad_inches=0.2
        )
        return png.getvalue()


def sentence_arcs(sentences: Sequence[tuple[Sequence[str], int, Mapping[int, float]]]) -> Picture:
    """Sentences, one below the other, with arcs from one word to the words it reads.

    Args:
        sentences: `(words, reader, weights)` each; `weights` maps the position of a word that
            is read to its weight, which sets the width of the arc.
    """
    with matplotlib.rc_context(STYLE):
        picture = Picture(figsize=(7.2, 2 * len(sentences)), layout="constrained")
        rows = picture.subplots(len(sentences), squeeze=False)[:, 0]
        for axes, (words, reader, weights) in zip(rows, sentences, strict=True):
            widths = np.array([len(word) + 1.6 for word in words])
            centres = np.cumsum(widths) - widths / 2
            for position, word in enumerate(words):
                marked = position == reader or position in weights
                colour = ALLOWED if position == reader else INK
                weight = "bold" if marked else "normal"
                axes.text(
                    centres[position], 0, word, ha="center", va="top", color=colour, weight=weight
                )
            tops = [1.05]
            for position, weight in weights.items():
                top = _arc(axes, centres[reader], centres[position], widths.sum(), weight)
                tops.append(top + 0.1)
            axes.set(xlim=(0, widths.sum()), ylim=(-0.35, max(tops)))
            axes.axis("off")
    return picture


def attention_map(
    weights, queries: Sequence[str], keys: Sequence[str] | None = None, *, title: str = ""
) -> Picture:
    """One table of weights as a heat map: queries in rows, keys in columns."""
    return attention_maps({title: weights}, queries, keys)


def attention_maps(
    tables: Mapping[str, object],
    queries: Sequence[str],
    keys: Sequence[str] | None = None,
    *,
    top: float | None = 1.0,
    key_axis: str = KEYS,
    query_axis: str = QUERIES,
) -> Picture:
    """Heat maps side by side, a title each. Small tables show their numbers too.

    Args:
        top: the value that gets the darkest colour; None takes the largest of all tables.
    """
    keys = queries if keys is None else keys
    arrays = {title: _as_array(table) for title, table in tables.items()}
    if top is None:
        top = max(array.max() for array in arrays.values())
    with matplotlib.rc_context(STYLE):
        picture, panels = _panels(len(arrays), len(queries), len(keys))
        for axes, (title, array) in zip(panels, arrays.items(), strict=True):
            axes.imshow(array, cmap="Blues", vmin=0, vmax=top)
            if len(keys) <= 6:
                _write_numbers(axes, array, top)
            _name_axes(axes, title, queries, keys, key_axis, query_axis)
    return picture


def mask_pictures(
    masks: Mapping[str, object], queries: Sequence[str], keys: Sequence[str] | None = None
) -> Picture:
    """Masks side by side: a blue cell with a dot may be read, a grey empty one may not."""
    keys = queries if keys is None else keys
    with matplotlib.rc_context(STYLE):
        picture, panels = _panels(len(masks), len(queries), len(keys))
        colours = matplotlib.colors.ListedColormap([FORBIDDEN, ALLOWED])
        for axes, (title, mask) in zip(panels, masks.items(), strict=True):
            mask = _as_array(mask).astype(bool)
            axes.imshow(mask, cmap=colours, vmin=0, vmax=1)
            rows, columns = np.nonzero(mask)
            axes.plot(columns, rows, "o", color="white", markersize=7)
            _name_axes(axes, title, queries, keys, KEYS, QUERIES)
    return picture


def dealt_tables(
    tables: Mapping[str, tuple[object, object]], rows: Sequence[str], columns: str
) -> Picture:
    """Tables of whole numbers side by side, each cell in the colour of the head that has it.

    Args:
        tables: `(numbers, heads)` by title, two tables of one shape.
        columns: what the horizontal axis counts.
    """
    arrays = {title: tuple(map(_as_array, pair)) for title, pair in tables.items()}
    widths = [numbers.shape[1] for numbers, _ in arrays.values()]
    with matplotlib.rc_context(STYLE):
        size = (0.62 * sum(widths) + 0.9 * len(widths), 0.62 * len(rows) + 1.3)
        picture = Picture(figsize=size, layout="constrained")
        panels = picture.subplots(1, len(arrays), squeeze=False, width_ratios=widths)[0]
        tints = matplotlib.colors.ListedColormap(HEADS)
        for axes, (title, (numbers, heads)) in zip(panels, arrays.items(), strict=True):
            axes.imshow(heads, cmap=tints, vmin=0, vmax=len(HEADS) - 1)
            for (row, column), value in np.ndenumerate(numbers):
                axes.text(column, row, f"{value:.0f}", ha="center", va="center")
            across = [str(place) for place in range(numbers.shape[1])]
            _name_axes(axes, title, rows, across, columns, "positions")
    return picture


def curves(
    series: Mapping[str, object],
    *,
    x=None,
    xlabel: str,
    ylabel: str,
    floor: tuple[str, float] | None = None,
    smooth: int = 1,
    log_x: bool = False,
    log_y: bool = False,
    bottom: float | None = None,
    seeds: Mapping[str, object] | None = None,
    letters: str | None = None,
) -> Picture:
    """Named curves over one axis.

    Args:
        x: where the points lie; counts from 0 when None.
        floor: a name and a height for a thin horizontal line to compare with.
        smooth: each point is the mean of this many values up to it.
        log_x, log_y: whether the axis is logarithmic.
        bottom: where the vertical axis begins.
        seeds: for some of the names what other seeds gave, (n_seeds, n_points) each, drawn as a
            pale band from the least to the largest. Its points are spread evenly from the first
            to the last of the curve's.
        letters: one for each point, below the axis in place of numbers.
    """
    with matplotlib.rc_context(STYLE):
        picture = Picture(figsize=(7, 4.4), layout="constrained")
        axes = picture.subplots()
        for (name, values), (colour, style) in zip(series.items(), CURVES, strict=False):
            values = _running_mean(_as_array(values), smooth)
            if seeds and name in seeds:
                places = np.arange(len(values)) if x is None else np.asarray(x)
                _band(axes, places, _as_array(seeds[name]), colour)
            axes.plot(
                np.arange(len(values)) if x is None else x,
                values,
                color=colour,
                linestyle=style,
                marker="o" if len(values) <= 12 else None,
                label=name,
            )
        if floor is not None:
            axes.axhline(floor[1], color=INK, linewidth=1, zorder=0, label=floor[0])
        axes.set(xlabel=xlabel, ylabel=ylabel)
        if log_x:
            axes.set_xscale("log")
        if log_y:
            axes.set_yscale("log")
        if log_x and x is not None:
            axes.set_xticks(x, [f"{place:g}" for place in x])
            axes.set_xticks([], minor=True)
        if letters is not None:
            shown = letters.replace(" ", "␣")
            axes.set_xticks(range(len(letters)), shown, family="monospace", fontsize=11)
            axes.tick_params(axis="x", length=0)
        if bottom is not None:
            axes.set_ylim(bottom=bottom)
        picture.legend(loc="outside upper left", ncols=2, frameon=False)
    return picture


def _band(axes, places: np.ndarray, seeds: np.ndarray, colour: str) -> None:
    """What the seeds gave, from the least to the largest, behind a curve at `places`."""
    if seeds.shape[1] != len(places):
        places = np.linspace(places[0], places[-1], seeds.shape[1])
    axes.fill_between(
        places, seeds.min(axis=0), seeds.max(axis=0), color=colour, alpha=0.18, linewidth=0
    )


def _as_array(values) -> np.ndarray:
    """A NumPy array of a list, an array or a tensor, gradients and devices left behind."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def _panels(n_panels: int, n_rows: int, n_columns: int):
    cell = 0.62 if n_columns <= 6 else 0.45
    width = max(3.2, cell * n_columns + 1.1)
    height = max(2.2, cell * n_rows + 1.3)
    columns = n_panels if n_panels * width <= 9 else 2
    rows = -(-n_panels // columns)
    picture = Picture(figsize=(columns * width, rows * height), layout="constrained")
    picture.get_layout_engine().set(wspace=0.08, hspace=0.08)
    panels = list(picture.subplots(rows, columns, squeeze=False).flat)
    for unused in panels[n_panels:]:
        unused.axis("off")
    return picture, panels[:n_panels]


def _name_axes(axes, title, queries, keys, key_axis, query_axis):
    axes.set_xticks(range(len(keys)), keys)
    if max(map(len, keys)) > 5 and len(keys) > 4:
        axes.tick_params(axis="x", rotation=90)
    axes.set_yticks(range(len(queries)), queries)
    axes.set_xticks(np.arange(len(keys) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(queries) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(key_axis)
    if axes.get_subplotspec().is_first_col():
        axes.set_ylabel(query_axis)
    if title:
        axes.set_title(title, fontsize=14, pad=10)


def _write_numbers(axes, array, top):
    for (row, column), value in np.ndenumerate(array):
        text = "0" if value == 0 else f"{value:.2f}"
        colour = "white" if value > 0.55 * top else INK
        axes.text(column, row, text, ha="center", va="center", color=colour)


def _arc(axes, start, end, width, weight) -> float:
    """Draws it and returns its top."""
    angle = np.linspace(0, np.pi, 60)
    across = (start + end) / 2 + (start - end) / 2 * np.cos(angle)
    height = 0.25 + 1.1 * abs(start - end) / width
    axes.plot(
        across, 0.05 + height * np.sin(angle), color=ALLOWED, linewidth=1 + 8 * weight, alpha=0.8
    )
    return 0.05 + height


def _running_mean(values, window):
    if window == 1:
        return values
    total = np.cumsum(np.insert(values.astype(float), 0, 0.0))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return (total[ends] - total[starts]) / (ends - starts)


def token_boxes(rows: Mapping[str, Sequence[tuple[str, int]]], *, width: int = 60) -> Picture:
    """Texts cut into tokens: a box for each piece, its id below. A space shows as `␣`.

    Args:
        rows: a title and the `(piece, id)` of its tokens.
        width: characters a line; longer rows go on in the next line.
    """
    lines = [(title, line) for title, tokens in rows.items() for line in _lines(tokens, width)]
    with matplotlib.rc_context(STYLE):
        picture = Picture(figsize=(9, 0.35 + 0.85 * len(lines)), layout="constrained")
        axes = picture.subplots()
        shown, longest = set(), 0.0
        for row, (title, line) in enumerate(lines):
            if title not in shown:
                axes.text(-0.8, -row, title, ha="right", va="center", fontsize=12)
                shown.add(title)
            left = 0.0
            for number, (piece, token_id) in enumerate(line):
                size = _box_width(piece, token_id)
                colour = ("#cfe3f1", "#f6dcc8")[number % 2]
                box = matplotlib.patches.Rectangle((left, -row - 0.28), size, 0.6, color=colour)
                axes.add_patch(box)
                centre = left + size / 2
                piece = piece.replace(" ", "␣")
                axes.text(centre, -row + 0.1, piece, ha="center", va="center", family="monospace")
                axes.text(centre, -row - 0.15, token_id, ha="center", va="center", fontsize=9)
                left += size + 0.15
            longest = max(longest, left)
        axes.set(xlim=(-0.5, longest), ylim=(-len(lines) + 0.4, 0.5))
        axes.axis("off")
    return picture


def labelled_points(groups: Mapping[str, Mapping[str, Sequence[float]]], *, title: str = ""):
    """Names written where their points lie, a colour for each group."""
    with matplotlib.rc_context(STYLE):
        picture = Picture(figsize=(6, 5), layout="constrained")
        axes = picture.subplots()
        for (group, points), (colour, _) in zip(groups.items(), CURVES, strict=False):
            axes.plot([], [], "s", color=colour, label=group)
            for name, (x, y) in points.items():
                weight = "bold" if colour == CURVES[1][0] else "normal"
                axes.text(x, y, name, color=colour, ha="center", va="center", weight=weight)
                axes.plot(x, y, alpha=0)
        axes.margins(0.08)
        axes.axhline(0, color=FORBIDDEN, linewidth=1, zorder=0)
        axes.axvline(0, color=FORBIDDEN, linewidth=1, zorder=0)
        axes.set_title(title, fontsize=14)
        picture.legend(loc="outside upper left", ncols=2, frameon=False)
    return picture


def _box_width(piece: str, token_id: int) -> float:
    return max(len(piece) + 0.5, 0.75 * len(str(token_id)) + 0.3)


def _lines(tokens, width: float) -> list[list]:
    lines, used = [[]], 0.0
    for piece, token_id in tokens:
        size = _box_width(piece, token_id) + 0.15
        if used + size > width and lines[-1]:
            lines.append([])
            used = 0.0
        lines[-1].append((piece, token_id))
        used += size
    return lines


def losses(training: Sequence[float], steps: Sequence[int], held_back: Sequence[float]) -> Picture:
    """The loss of each step, and the loss on held-back text after some of them."""
    with matplotlib.rc_context(STYLE):
        picture = Picture(figsize=(7, 4.4), layout="constrained")
        axes = picture.subplots()
        places = np.arange(1, len(training) + 1)
        (colour, style), (other, _) = list(CURVES)[:2]
        axes.plot(places, training, color=colour, linestyle=style, alpha=0.6, label="training")
        axes.plot(steps, held_back, color=other, marker="o", label="held-back text")
        axes.set(xlabel="step", ylabel="loss")
        picture.legend(loc="outside upper left", ncols=2, frameon=False)
    return picture


def tower(steps: Sequence[tuple[str, str, str]]) -> Picture:
    """What a text goes through, from top to bottom: a box for each step, joined by arrows.

    Args:
        steps: `(name, shape, example)` each: the name goes into the box, the shape of what leaves
            it beside the arrow below, and the example to its right.
    """
    with matplotlib.rc_context(STYLE):
        picture = Picture(figsize=(8, 0.78 * len(steps)), layout="constrained")
        axes = picture.subplots()
        for row, (name, shape, example) in enumerate(steps):
            box = matplotlib.patches.FancyBboxPatch(
                (-1.5, -row - 0.22), 3.0, 0.44, boxstyle="round,pad=0.04", color=HEADS[row % 2]
            )
            axes.add_patch(box)
            axes.text(0, -row, name, ha="center", va="center")
            axes.text(-1.75, -row, shape, ha="right", va="center", family="monospace", fontsize=12)
            axes.text(1.75, -row, example, ha="left", va="center", fontsize=12)
            if row + 1 < len(steps):
                axes.annotate(
                    "",
                    (0, -row - 0.75),
                    (0, -row - 0.26),
                    arrowprops={"arrowstyle": "->", "color": INK},
                )
        axes.set(xlim=(-3.6, 5.2), ylim=(-len(steps) + 0.5, 0.5))
        axes.axis("off")
    return picture


def streams(
    ways: Mapping[str, Sequence[str | tuple[str, ...]]],
    *,
    notes: Mapping[str, str] | None = None,
    beside: Mapping[str, str] | None = None,
    ends: tuple[str, str] = ("x", "x"),
) -> Picture:
    """What becomes of the stream `x`, from top to bottom: a column for each way to join parts.

    Args:
        ways: a title and the steps of each column. A name alone is a part that the stream itself
            goes through: what leaves it is another stream, in another colour. A tuple of names
            is a way around: it reads the stream, goes through these parts and is added again.
        notes: below a column of this title.
        beside: to the right of each part of this name.
        ends: what to write where a stream begins, and where it ends.
    """
    notes, beside = notes or {}, beside or {}
    height = max(sum(map(_step_height, steps)) for steps in ways.values())
    longest = max((len(line) for text in beside.values() for line in text.split("\n")), default=0)
    left, right = -1.0, 2.3 + 0.11 * longest
    top, bottom = 0.6 + 0.5 * any(ways), -height - 1.3 - 0.6 * bool(notes)
    n_columns = min(2, len(ways))
    n_rows = math.ceil(len(ways) / n_columns)
    with matplotlib.rc_context(STYLE):
        picture = Picture(
            figsize=(0.95 * n_columns * (right - left), 0.52 * n_rows * (top - bottom)),
            layout="constrained",
        )
        panels = picture.subplots(n_rows, n_columns, squeeze=False).flat
        for axes, (title, steps) in zip(panels, ways.items(), strict=True):
            _stream(axes, steps, height, beside)
            axes.text(0.65, 0.7, title, ha="center", va="bottom", weight="bold")
            axes.text(0, 0.12, ends[0], ha="center", va="bottom")
            axes.text(0, -height - 0.72, ends[1], ha="center", va="top")
            axes.text(0.65, -height - 1.4, notes.get(title, ""), ha="center", va="top",
                      family="monospace", fontsize=12)  # fmt: skip
            axes.set(xlim=(left, right), ylim=(bottom, top))
            axes.axis("off")
    return picture


def _step_height(step: str | tuple[str, ...]) -> float:
    return 1.0 if isinstance(step, str) else 1.0 + 0.8 * len(step)


def _stream(axes, steps, height: float, beside: Mapping[str, str]) -> None:
    """The steps of one column; a stream that is too short flows on to `-height`."""
    top, colours = 0.0, iter(HEADS)
    colour = next(colours)
    for step in steps:
        below = top - _step_height(step)
        axes.plot([0, 0], [top, below], color=colour, lw=11, solid_capstyle="butt", zorder=1)
        if isinstance(step, str):
            colour = next(colours)
            axes.plot([0, 0], [(top + below) / 2, below], color=colour, lw=11,
                      solid_capstyle="butt", zorder=1)  # fmt: skip
            _part(axes, 0, (top + below) / 2, step, beside)
        else:
            _way_around(axes, top - 0.25, below + 0.25, step, beside)
        top = below
    arrow = {"color": colour, "width": 10, "headwidth": 22, "headlength": 13, "shrink": 0}
    axes.annotate("", (0, -height - 0.65), (0, top + 0.02), arrowprops=arrow, zorder=1)


def _way_around(axes, top: float, below: float, parts, beside: Mapping[str, str]) -> None:
    """Read the stream at `top`, go through the parts, and add at `below`."""
    line = {"color": INK, "lw": 1.5, "zorder": 2}
    axes.plot([0, 1.35, 1.35], [top, top, below], **line)
    axes.plot([0], [top], marker="o", markersize=5, color=INK, zorder=3)
    axes.annotate("", (0.2, below), (1.36, below), arrowprops={"arrowstyle": "->", **line})
    axes.plot([0], [below], marker="o", markersize=17, mfc="white", mec=INK, zorder=3)
    axes.text(0, below, "+", ha="center", va="center_baseline", zorder=4)
    for number, part in enumerate(parts):
        _part(axes, 1.35, top - 0.65 - 0.8 * number, part, beside)


def _part(axes, x: float, y: float, name: str, beside: Mapping[str, str]) -> None:
    box = matplotlib.patches.FancyBboxPatch(
        (x - 0.75, y - 0.24), 1.5, 0.48, boxstyle="round,pad=0.03", fc="white", ec=INK, zorder=3
    )
    axes.add_patch(box)
    axes.text(x, y, name, ha="center", va="center", fontsize=12, zorder=4)
    axes.text(x + 1.0, y, beside.get(name, ""), ha="left", va="center", fontsize=12)


def bars(values: Mapping[str, float], *, xlabel: str, show=lambda value: f"{value:g}") -> Picture:
    """Named values as horizontal bars, the first on top, the number behind each.

    Args:
        show: how a number is written.
    """
    with matplotlib.rc_context(STYLE):
        picture = Picture(figsize=(7, 0.5 * len(values) + 0.9), layout="constrained")
        axes = picture.subplots()
        heights = [float(value) for value in values.values()]
        axes.barh(range(len(heights)), heights, color=CURVES[0][0], height=0.6)
        for row, height in enumerate(heights):
            axes.text(height + 0.01 * max(heights), row, show(height), va="center")
        axes.set_yticks(range(len(heights)), list(values))
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        axes.set(xlabel=xlabel, xlim=(0, 1.2 * max(heights)))
    return picture


def bar_panels(
    panels: Mapping[str, Sequence[float]], names: Sequence[str], *, xlabel: str = "probability"
) -> Picture:
    """Lying bars side by side, one panel a title, the same names in all; a 0 has no bar."""
    with matplotlib.rc_context(STYLE):
        size = (1.2 + 2.5 * len(panels), 1.4 + 0.36 * len(names))
        picture = Picture(figsize=size, layout="constrained")
        rows = np.arange(len(names))
        all_axes = picture.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
        for axes, (title, lengths) in zip(all_axes, panels.items(), strict=True):
            lengths = _as_array(lengths)
            axes.barh(rows, lengths, color=ALLOWED)
            for row, length in zip(rows, lengths, strict=True):
                axes.text(length, row, " 0" if length == 0 else f" {length:.2f}", va="center")
            axes.set_title(title, fontsize=14)
            axes.set_xlim(0, 1.3 * max(np.max(_as_array(p)) for p in panels.values()))
            axes.tick_params(length=0)
            axes.spines["bottom"].set_visible(False)
        all_axes[0].set_xticks([])  # the numbers stand beside the bars
        all_axes[0].set_yticks(rows, names)
        all_axes[0].invert_yaxis()
        picture.supxlabel(xlabel, fontsize=14)
    return picture


def filling_cache(steps: Sequence[Sequence[str]], capacity: int) -> Picture:
    """A cache step by step: what each step writes is blue, what stands there already is pale.

    Args:
        steps: the words whose keys and values each step writes.
    """
    with matplotlib.rc_context(STYLE):
        picture = Picture(figsize=(0.95 * capacity + 1, 0.55 * len(steps) + 1.4))
        axes = picture.subplots()
        table = np.zeros((len(steps), capacity))
        written = []
        for row, words in enumerate(steps):
            table[row, : len(written)] = 1
            table[row, len(written) : len(written) + len(words)] = 2
            written = [*written, *words]
            for place, word in enumerate(written):
                colour = "white" if table[row, place] == 2 else INK
                axes.text(place, row, word, ha="center", va="center", color=colour)
        colours = matplotlib.colors.ListedColormap([FORBIDDEN, HEADS[0], ALLOWED])
        axes.imshow(table, cmap=colours, vmin=0, vmax=2, aspect="auto")
        steps_named = [str(number) for number in range(len(steps))]
        _name_axes(
            axes, "", steps_named, [str(p) for p in range(capacity)], "place in the cache", "step"
        )
    return picture


def pairs_as_arrows(rows: Mapping[str, Sequence], turns: Sequence[float]) -> Picture:
    """A query and a key as arrows, a dial for each pair of channels, and the score of each row.

    Args:
        rows: `(query, key)` by title, (D/2, 2) each.
        turns: by how much each pair turns a step.
    """
    longest = max(np.hypot(*_as_array(v).T).max() for row in rows.values() for v in row)
    looks = {"query": {"color": CURVES[0][0]}, "key": {"color": CURVES[1][0], "linestyle": "--"}}
    with matplotlib.rc_context(STYLE):
        picture = Picture(figsize=(2 * len(turns), 2.6 * len(rows) + 0.5), layout="constrained")
        dials = picture.subplots(len(rows), len(turns), squeeze=False)
        for row, (title, vectors) in zip(dials, rows.items(), strict=True):
            score = (_as_array(vectors[0]) * _as_array(vectors[1])).sum()
            row[0].set_title(f"{title}: score {score:.3f}", loc="left", fontsize=14)
            for pair, axes in enumerate(row):
                axes.add_patch(matplotlib.patches.Circle((0, 0), longest, fill=False, ec="#999999"))
                for vector, look in zip(vectors, looks.values(), strict=True):
                    tip = _as_array(vector)[pair]
                    arrow = {"arrowstyle": "-|>", "linewidth": 2.5, **look}
                    axes.annotate("", tip, (0, 0), arrowprops={**arrow, "shrinkA": 0, "shrinkB": 0})
                axes.set(xlim=(-1.1 * longest, 1.1 * longest), ylim=(-1.1 * longest, 1.1 * longest))
                axes.set_aspect("equal")
                axes.axis("off")
        for axes, turn in zip(dials[-1], turns, strict=True):
            axes.text(0, -1.35 * longest, f"{turn:.2g} a step", ha="center", va="center")
        handles = [matplotlib.lines.Line2D([], [], **look) for look in looks.values()]
        picture.legend(handles, looks, loc="outside lower center", ncols=2, frameon=False)
    return picture


def products(tables: Mapping[str, tuple], rows: Sequence[str], *, row: int) -> Picture:
    """Products of two tables: one on the left, one above, and what they make in the corner.

    Args:
        tables: `(left, above, product, columns)` by title; `columns` names those of the product.
        rows: names those of the product.
        row: of this row the first entry is marked, with the row and the column that make it.
    """
    with matplotlib.rc_context(STYLE):
        picture = Picture(figsize=(4.2 * len(tables), 3.4), layout="constrained")
        panels = picture.subplots(1, len(tables), squeeze=False)[0]
        for axes, (title, (left, above, product, columns)) in zip(
            panels, tables.items(), strict=True
        ):
            n_inner = len(above)
            marked = [(left, 0, 0, (row, None)), (above, n_inner + 0.4, -n_inner - 0.4, (None, 0))]
            for table, x, y, (in_row, in_column) in [
                *marked, (product, n_inner + 0.4, 0, (row, 0))
            ]:  # fmt: skip
                for (r, c), value in np.ndenumerate(_as_array(table)):
                    part = in_row in (r, None) and in_column in (c, None)
                    shade = FORBIDDEN if not part else HEADS[0 if table is not product else 1]
                    box = (x + c + 0.04, y + r + 0.04)
                    axes.add_patch(matplotlib.patches.Rectangle(box, 0.92, 0.92, color=shade))
                    text = f"{value:.2f}".rstrip("0").rstrip(".")
                    middle = (x + c + 0.5, y + r + 0.5)
                    axes.text(*middle, text, ha="center", va="center", fontsize=12)
            for r, name in enumerate(rows):
                axes.text(-0.15, r + 0.5, name, ha="right", va="center", fontsize=12)
            for c, name in enumerate(columns):
                place = (n_inner + 0.9 + c, -n_inner - 0.6)
                axes.text(*place, name, ha="center", va="bottom", fontsize=11)
            axes.set_title(title, fontsize=12)
            right = n_inner + 0.5 + len(columns)
            axes.set(xlim=(-1.1, right), ylim=(len(rows) + 0.1, -n_inner - 1.2))
            axes.set_aspect("equal")
            axes.axis("off")
    return picture


def shares(named: Mapping[str, float], *, xlabel: str) -> Picture:
    """A bar from 0 to 100 % for each name, the first on top."""
    with matplotlib.rc_context(STYLE):
        picture = Picture(figsize=(7, 0.9 + 0.55 * len(named)), layout="constrained")
        axes = picture.subplots()
        percents = [100 * share for share in named.values()]
        axes.barh(list(named), percents, color=ALLOWED)
        for row, percent in enumerate(percents):
            axes.text(percent + 1, row, f"{percent:.0f} %", va="center")
        axes.set(xlim=(0, 112), xlabel=xlabel)
        axes.invert_yaxis()
    return picture


def on_a_log_axis(
    groups: Mapping[str, Sequence[float]], *, xlabel: str, line: tuple[str, float]
) -> Picture:
    """Numbers as marks on one logarithmic axis, a row for each group, and a line between them."""
    with matplotlib.rc_context(STYLE):
        picture = Picture(figsize=(7, 1.6 + 0.6 * len(groups)), layout="constrained")
        axes = picture.subplots()
        for row, ((colour, _), marker) in enumerate(zip(CURVES, "o^sDx", strict=True)):
            if row < len(groups):
                values = list(groups.values())[row]
                rows = np.full(len(values), row)
                axes.scatter(values, rows, color=colour, marker=marker, s=70, alpha=0.7)
        axes.axvline(line[1], color=INK, linewidth=1, label=line[0])
        axes.set(xscale="log", xlabel=xlabel, ylim=(len(groups) - 0.5, -0.5))
        axes.set_yticks(range(len(groups)), list(groups))
        picture.legend(loc="outside upper right", frameon=False)
    return picture
