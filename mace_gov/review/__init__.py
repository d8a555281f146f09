"""The reviewers' web page: look at the pictures, label them blind, compare with the detectors, decide and sign.

desk       what is reviewed: a verified version, its signed report, its pictures in each reviewer's own order
journal    what a reviewer did, one signed entry each, chained
agreement  people against detectors: Cohen's kappa, sensitivity, specificity
trials     the originals behind the report, once the labelling has ended
door       who may come in: one-time links, sessions, hosts, origins, forms that count once
app        the pages; ``serve`` runs them on loopback

Nothing here loads a model or decodes a picture: files go to the browser as they were signed for.
"""
