"""Damaged files and faults of the system by seed, and the laws that commands hold whatever their files hold.

`damage.py`, `zips.py` and `ways.py` damage what files hold by chance, `aimed.py` in places that chance seldom comes
upon; `faults.py` kills commands and takes disk and memory away. `laws.py` holds of every command; `oracles.py` has what
the files of a target must agree on. `targets.py` is the table of all, `campaign.py` runs cases.

`--root FOLDER` runs the attneval of another checkout. Of the first version, before it read files with suspicion, the
aims find within 40 cases of a target (seed 1):

- `grounding`: boxes that are no numbers, whose phrases vanish in silence, or that NumPy warns of; infinite numbers of
  spans that end as internal errors;
- `result`: values that their own sums deny, taken by `gate`, `compare` and others;
- `heads`: two channels of one layer and head, of which one is dropped;
- `entities`: from 24 types of one's own on, items that have other types than their phrases; from 55, internal errors;
- `grid`: grids of 2^20 x 2^20 cells and beyond, whose products wrap, are warned of, or end as internal errors.

Chance finds integers beyond 64 bits and header texts of 5,000 characters (`packed`, `entities`, `models`), an index
read within the clock of the file system (`index`), and short memory as an internal error or as a gate that failed
(`memory`).
"""
