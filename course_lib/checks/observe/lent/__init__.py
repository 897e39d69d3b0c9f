"""What could answer an exercise: it is lent to the jobs whose exercise is another one.

No sandbox holds this folder. A job brings the text of what its calls need (`load/lent.py`).
"""
