"""objects.cache as Nagios 4.4 writes it."""

from __future__ import annotations

from nagios_failover.notification_rules import Contact, Rules, read_rules

ALL_DAYS = "".join(
    f"\t{day}\t00:00-24:00\n" for day in ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
)
CACHE = f"""########################################
#       NAGIOS OBJECT CACHE FILE
########################################

define timeperiod {{
\ttimeperiod_name\t24x7
\talias\t24 Hours A Day
{ALL_DAYS}\t}}

define timeperiod {{
\ttimeperiod_name\tsans
{ALL_DAYS}\tdecember 25\t00:00-00:00
\t}}

define contactgroup {{
\tcontactgroup_name\tadmins
\talias\tall
\tmembers\tboss,oncall
\t}}

define contact {{
\tcontact_name\toncall
\tservice_notification_period\t24x7
\thost_notification_period\t24x7
\tservice_notification_options\tr,w,u,c
\thost_notification_options\tr,d,u
\temail\toncall@example.com
\thost_notifications_enabled\t1
\tservice_notifications_enabled\t1
\t}}

define contact {{
\tcontact_name\tboss
\tservice_notification_period\tsans
\thost_notification_period\t24x7
\tservice_notification_options\tc
\thost_notification_options\tr,d,u
\thost_notifications_enabled\t0
\tservice_notifications_enabled\t1
\t}}

define service {{
\thost_name\tweb1
\tservice_description\tHTTP
\tcheck_interval\t5.000000
\tis_volatile\t0
\tcontact_groups\tadmins
\tcontacts\tsecond
\tnotification_period\t24x7
\tnotification_options\ta
\tnotifications_enabled\t1
\tnotification_interval\t30.000000
\tfirst_notification_delay\t2.000000
\t}}

define service {{
\thost_name\tweb2
\tservice_description\tHTTP
\tis_volatile\t1
\tnotification_period\tsans
\tnotification_options\tr,c
\tnotifications_enabled\t0
\tnotification_interval\t0.000000
\t}}

define host {{
\thost_name\tweb3
\tcheck_interval\t1.000000
\tnotification_period\t24x7
\tnotification_options\ta
\tnotification_interval\t60.000000
\t}}

define serviceescalation {{
\thost_name\tweb1
\tservice_description\tHTTP
\tnotification_interval\t10.000000
\tcontacts\tboss
\t}}

define hostdependency {{
\thost_name\tweb1
\tdependent_host_name\tweb3
\t}}
"""
WANTED = {("web1", "HTTP"), ("web2", "HTTP"), ("web3", "")}


def test_what_an_audit_must_know_of_an_object() -> None:
    found = read_rules(CACHE.splitlines(keepends=True), WANTED, interval_length=60)
    assert found.objects == {
        ("web1", "HTTP"): Rules(
            interval=600, check_interval=300, first_delay=120, escalated=True, contacts=("boss", "oncall", "second")
        ),
        ("web2", "HTTP"): Rules(
            interval=0, check_interval=300, volatile=True, enabled=False, options="r,c", unsure="its notification period is sans"
        ),
        ("web3", ""): Rules(interval=3600, check_interval=60, unsure="it depends on another object"),
    }
    assert found.contacts == {
        "oncall": Contact("oncall@example.com", "r,d,u", "r,w,u,c", always=True),
        "boss": Contact("", "", "c", always=False),
    }


def test_only_what_is_asked_for_is_kept() -> None:
    found = read_rules(CACHE.splitlines(keepends=True), {("web3", "")}, interval_length=1)
    assert list(found.objects) == [("web3", "")]


def test_object_and_contact_must_both_want_it() -> None:
    contact = Contact(service_options="c,r", host_options="d")
    rules = Rules(interval=0, check_interval=5, options="w,c,d")
    assert rules.wanted(2, contact, is_host=False)
    assert not rules.wanted(1, contact, is_host=False), "the contact does not"
    assert not rules.wanted(0, contact, is_host=False), "the object does not"
    assert rules.wanted(1, contact, is_host=True)
    assert rules.wanted(1, None, is_host=False)
