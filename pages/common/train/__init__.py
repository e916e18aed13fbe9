"""What the Train page is made of: its form, what will happen, and what can be tried before.

`form` knows what was entered and what has an effect, `fields` and `form_view` show it, `summaries`
put it in a line, `outlook` says what the run will be, `trials` tries it.
"""
