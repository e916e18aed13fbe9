"""The review of an import: pure logic beside the views that show it.

`pairs`, `classes` and `split` hold what can be decided without a page; `*_view` show it. Every
correction goes through `changes`, so that the plan lies in the draft and not in the browser.
"""
