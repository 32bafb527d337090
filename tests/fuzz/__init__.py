"""Damaged files and faults of the system by seed, and the laws that commands hold whatever their files hold.

`damage.py`, `zips.py` and `ways.py` damage what files hold by chance, `aimed.py` in places that chance seldom comes upon;
`faults.py` kills commands and takes disk and memory away. `laws.py` holds of every command; `oracles.py` has what the
files of a target must agree on. `targets.py` is the table of all, `campaign.py` runs cases.

`--root FOLDER` runs the attneval of another checkout. Of version 0.1.0 as it was before its files were read with
suspicion (40 cases a target), it finds:

- boxes of annotations that are no numbers, whose phrases vanish while F1 rises (`grounding`), and NumPy's warnings;
- a value of a result that its own sums deny, in `gate`, `compare` and others (`result`);
- two channels of one layer and head, of which one is dropped (`heads`);
- items whose types are lost from the 24th of one's own on, and an internal error from the 55th (`entities`);
- grids of 2^20 x 2^20 cells and beyond: products that wrap, warnings, internal errors (`grid`);
- an index that is read within the clock of the file system (`index`), items lost by a kill (`kill`), and short memory as
  an internal error, or as a gate that failed (`memory`);
- integers beyond 64 bits, in XML, JSON and offsets (`entities`, `grounding`, `packed`), members that inflate to
  gigabytes and names that are too long (`entities-zip`, `arguments`), texts of files on terminals (`names`, `result`).
"""
