"""What a release rests on: versions that agree, the citation, the policy, the workflow."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from typing import Any

import pytest
from support.places import ROOT

from tools.release import changelog, versions

yaml = pytest.importorskip("yaml", reason="needs PyYAML")

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
POLICY = (ROOT / "SECURITY.md").read_text("utf-8")
WORKFLOW_TEXT = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
WORKFLOW = yaml.safe_load(WORKFLOW_TEXT)
#: Fields of the Citation File Format 1.2.0; the first four are required.
FIELDS = {
    *("cff-version", "message", "title", "authors"),
    *("abstract", "commit", "contact", "date-released", "doi", "identifiers", "keywords"),
    *("license", "license-url", "preferred-citation", "references", "repository"),
    *("repository-artifact", "repository-code", "type", "url", "version"),
}
REQUIRED = {"cff-version", "message", "title", "authors"}
PERSON = {
    *("given-names", "family-names", "name-particle", "name-suffix", "alias", "affiliation"),
    *(
        "orcid",
        "email",
        "website",
        "address",
        "city",
        "region",
        "post-code",
        "country",
        "tel",
        "fax",
    ),
}
ENTITY = {
    *("name", "alias", "orcid", "email", "website", "address", "city", "region", "post-code"),
    *("country", "tel", "fax", "date-start", "date-end", "location"),
}


def faults(citation: dict[str, Any]) -> list[str]:
    """What the format does not allow."""
    found = [f"unknown {name}" for name in citation.keys() - FIELDS]
    found += [f"no {name}" for name in REQUIRED - citation.keys()]
    if citation.get("cff-version") != "1.2.0":
        found.append("cff-version")
    if citation.get("type", "software") not in ("software", "dataset"):
        found.append("type")
    texts = ("message", "title", "abstract", "license", "version")
    found += [name for name in texts if not isinstance(citation.get(name, "x"), str)]
    if not isinstance(citation.get("date-released", date.today()), date):
        found.append("date-released")
    words = citation.get("keywords", ["x"])
    if not words or len(set(words)) != len(words):
        found.append("keywords")
    for author in citation.get("authors") or [{}]:
        whole = "name" in author and author.keys() <= ENTITY
        if not whole and not (author and author.keys() <= PERSON):
            found.append("authors")
    return found


def test_the_citation_is_of_the_format() -> None:
    assert faults(CITATION) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"cff-version": 1.2}, "cff-version"),
        ({"type": "program"}, "type"),
        ({"released": "2026-01-01"}, "unknown released"),
        ({"authors": []}, "authors"),
        ({"authors": [{"name": "A", "given-names": "B"}]}, "authors"),
        ({"version": 0.1}, "version"),
        ({"keywords": ["a", "a"]}, "keywords"),
        ({"date-released": "soon"}, "date-released"),
    ],
)
def test_what_the_format_does_not_allow_is_seen(change: dict[str, Any], fault: str) -> None:
    assert faults(CITATION | change) == [fault]


def test_the_citation_says_what_the_project_does() -> None:
    assert CITATION["title"] == PROJECT["name"]
    assert CITATION["license"] == PROJECT["license"]
    assert CITATION["keywords"] == PROJECT["keywords"]


def test_every_file_says_the_same_version() -> None:
    assert set(versions.stated(ROOT).values()) == {PROJECT["version"]}


def test_the_page_names_every_place_of_the_version() -> None:
    page = (ROOT / "docs" / "releasing.md").read_text("utf-8")
    assert [place.file for place in versions.PLACES if f"`{place.file}`" not in page] == []


def test_the_changelog_has_a_date_for_every_version() -> None:
    named = changelog.versions((ROOT / "CHANGELOG.md").read_text("utf-8"))
    assert next(iter(named)) == changelog.UNRELEASED
    assert all(when for version, when in named.items() if version != changelog.UNRELEASED)


def test_the_policy_says_how_without_an_address() -> None:
    assert "Report a\nvulnerability" in POLICY or "Report a vulnerability" in POLICY
    assert "(docs/security.md)" in POLICY
    assert not re.search(r"\S+@\S+\.\S+|mailto:", POLICY)
    assert "## Supported versions" in POLICY


def test_actions_are_pinned_by_hash_with_their_version_beside() -> None:
    used = re.findall(r"uses: (.*)", WORKFLOW_TEXT)
    assert len(used) == 5
    for each in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


def test_the_workflow_starts_with_a_tag_alone() -> None:
    assert WORKFLOW[True] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+*"]}}


def test_each_job_may_do_the_least() -> None:
    jobs = WORKFLOW["jobs"]
    assert WORKFLOW["permissions"] == {}
    assert jobs["build"]["permissions"] == {"contents": "read"}
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert not [step for step in jobs["publish"]["steps"] if "run" in step]
    assert "secrets." not in WORKFLOW_TEXT


def test_no_script_of_the_workflow_holds_an_expression() -> None:
    steps = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    assert not [step for step in steps if "${{" in step.get("run", "")]
