"""A browser id finds all its days; counted evidence stays, leading to nobody."""

from datetime import timedelta


def test_a_browser_id_erases_all_its_days_and_leaves_the_guard_as_it_was(armed, rows):
    browser = "f00dcafe"
    for day in (0, 1):
        date = (armed.clock.now + timedelta(days=day)).date().isoformat()
        armed.send(
            armed.adapter_call(f"c{day}", device=f"{browser}_{date}", ts=armed.clock.now + timedelta(days=day)),
            armed.outcome(f"v{day}", "block", call=f"c{day}"),
            armed.outcome(f"f{day}", "favourite", call=f"c{day}"),
        )
    armed.send(armed.adapter_call("other"), armed.outcome("other-v", "block", call="other"))
    armed.clock.forward(days=1)
    before = armed.store.keeper.evidence("stage2", "lora")
    erased = armed.store.erase_device(browser, "admin-1")
    assert (erased.calls, erased.outcomes, erased.prompt_runs) == (2, 4, 2)
    assert [row["id"] for row in rows("SELECT id FROM calls WHERE arm = 'lora'")] == ["other"]
    after = armed.store.keeper.evidence("stage2", "lora")
    assert (after.counts, after.e_value, after.arm.detector) == (before.counts, before.e_value, before.arm.detector)
    left = rows("SELECT device, prompt, event_id FROM prompt_runs WHERE arm = 'lora' ORDER BY seq")
    assert all(row["device"].startswith("erased-") and row["event_id"].startswith("erased-") for row in left[:2])
    assert left[0]["device"] != left[1]["device"]
    assert len(rows("SELECT key FROM erasures")) == erased.keys


def test_a_run_is_erased_with_its_outcomes(armed, rows):
    armed.send(armed.call("c1"), armed.outcome("f1", "favourite", run="run_c1"), armed.call("c2"))
    erased = armed.store.erase_run("run_c1", "admin-1")
    assert (erased.calls, erased.outcomes) == (1, 1)
    assert [row["id"] for row in rows("SELECT id FROM calls WHERE id IN ('c1', 'c2')")] == ["c2"]


def test_a_pseudonym_erases_that_device_alone_and_nothing_found_records_nothing(armed, rows):
    armed.send(armed.call("c1", device="kid_2026-03-02"))
    assert armed.store.erase_device(armed.store.names.device("kid_2026-03-02"), "admin-1").calls == 1
    assert armed.store.erase_device("nobody", "admin-1").calls == 0
    assert len(rows("SELECT key FROM erasures")) == 1


def test_an_empty_warehouse_has_nothing_to_erase(bench):
    assert bench.store.erase_device("nobody", "admin-1").calls == 0
