r"""RUC-AIBOX/long_form_thought_data_5k (protocol A1): long thoughts in text, the public sibling of D_T.

Data card: 4,922 flat rows; math 3,929, physics 271, chemistry 238, code 178, puzzle 159, biology 147;
English. A row:

    {"question": "What is the units digit of $3^{2005}$?", "domain": "math", "combined_text":
     "<|begin_of_thought|>\n\n...\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n... \\boxed{3}\n\n..."}

The gold is what the response boxed. Rows without a box, code and puzzles most of them, are kept as their
publisher accepted them, and listed.
"""

from spica.sources.draft import Draft, Record, text_of
from spica.sources.sharegpt import answered

FILES = ("*.parquet", "*.jsonl", "*.json")


def parse(record: Record) -> list[Draft]:
    """The one draft of the row.

    Raises:
        BadRowError: No question or no response.
    """
    return [answered(record, text_of(record.row, "question"), text_of(record.row, "combined_text"), [])]
