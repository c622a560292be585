"""The page and the service: the pipeline behind HTTP.

server.py          one process that speaks HTTP and computes nothing: it never imports torch
protection.py      what every request passes first: host, origin, key, size, time; headers of every response
app.py             the routes; requests.py what they take, problems.py how they refuse
queue.py           waiting requests, bounded; those that can be computed together leave together
pool.py            one model process a core, restarted when it ends
model_process.py   what runs there: models, and tasks.py, from a request's bytes to a response's
events.py          results as server-sent events, word by word
frames.py          what travels between the two, JSON and bytes; nothing is unpickled
page/              the page: HTML, styles and scripts as they are, one file of strings a language
"""
