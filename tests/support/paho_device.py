"""What an ordinary MQTT client expects of a broker, by paho-mqtt, in either version of MQTT.

Usage: paho_device.py PORT 3|5. Prints each expectation as it is met; ends with an error otherwise.
"""

import socket
import sys
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

LIMIT = 10.0
PORT = int(sys.argv[1])
VERSION = mqtt.MQTTv5 if sys.argv[2] == "5" else mqtt.MQTTv311
PREFIX = f"local/v{sys.argv[2]}"


class Device:
    """A client that keeps what it gets."""

    def __init__(self, name, clean=True, will=None):
        options = {} if VERSION == mqtt.MQTTv5 else {"clean_session": clean}
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, f"{name}-v{sys.argv[2]}", protocol=VERSION, **options
        )
        self.clean = clean
        self.messages = []
        self.session_present = None
        self.changed = threading.Condition()
        self.acknowledged = set()
        self.connected = False
        self.client.on_connect = self.on_connect
        self.client.on_disconnect = self.on_disconnect
        self.client.on_message = self.on_message
        self.client.on_subscribe = self.on_subscribe
        self.client.on_unsubscribe = self.on_subscribe
        if will:
            self.client.will_set(*will)

    def note(self, change):
        with self.changed:
            change()
            self.changed.notify_all()

    def on_connect(self, client, userdata, flags, reason, properties):
        def change():
            self.connected = not reason.is_failure
            self.session_present = flags.session_present

        self.note(change)

    def on_disconnect(self, *_):
        self.note(lambda: setattr(self, "connected", False))

    def on_message(self, client, userdata, message):
        self.note(lambda: self.messages.append(message))

    def on_subscribe(self, client, userdata, packet_id, *_):
        self.note(lambda: self.acknowledged.add(packet_id))

    def wait(self, what, condition):
        with self.changed:
            if not self.changed.wait_for(condition, LIMIT):
                sys.exit(f"waited in vain: {what}; got {self.payloads()}")

    def connect(self):
        options = {}
        if VERSION == mqtt.MQTTv5:
            options["clean_start"] = self.clean
            if not self.clean:
                options["properties"] = Properties(PacketTypes.CONNECT)
                options["properties"].SessionExpiryInterval = 600
        self.client.connect("127.0.0.1", PORT, keepalive=5, **options)
        self.client.loop_start()
        self.wait("the connection", lambda: self.connected)
        return self

    def subscribe(self, topic, qos):
        _, packet_id = self.client.subscribe(topic, qos)
        self.wait("the SUBACK", lambda: packet_id in self.acknowledged)
        return self

    def unsubscribe(self, topic):
        _, packet_id = self.client.unsubscribe(topic)
        self.wait("the UNSUBACK", lambda: packet_id in self.acknowledged)

    def publish(self, topic, payload, qos, retain=False):
        info = self.client.publish(topic, payload, qos, retain)
        info.wait_for_publish(LIMIT)
        if not info.is_published():
            sys.exit(f"{payload} was not acknowledged at QoS {qos}")

    def payloads(self):
        return [message.payload.decode() for message in self.messages]

    def expect(self, what, payloads):
        self.wait(what, lambda: len(self.messages) >= len(payloads))
        if self.payloads() != payloads:
            sys.exit(f"{what}: expected {payloads}, got {self.payloads()}")
        print(f"ok: {what}", flush=True)

    def disconnect(self):
        self.client.disconnect()
        self.wait("the disconnection", lambda: not self.connected)
        self.client.loop_stop()

    def vanish(self):
        """Ends the connection without a DISCONNECT."""
        self.client.socket().shutdown(socket.SHUT_RDWR)
        self.client.loop_stop()


def every_quality_of_service():
    sender = Device("sender").connect()
    for granted in (0, 1, 2):
        receiver = Device(f"receiver-{granted}").connect().subscribe(f"{PREFIX}/qos/#", granted)
        for qos in (0, 1, 2):
            sender.publish(f"{PREFIX}/qos/{qos}", f"m{qos}", qos)
        receiver.expect(f"QoS 0, 1 and 2 to a subscription of QoS {granted}", ["m0", "m1", "m2"])
        got = [message.qos for message in receiver.messages]
        if got != [min(granted, qos) for qos in (0, 1, 2)]:
            sys.exit(f"delivered at QoS {got} to a subscription of QoS {granted}")
        receiver.disconnect()
    sender.disconnect()


def retained_messages():
    sender = Device("keeper").connect()
    sender.publish(f"{PREFIX}/retained/a", "old", 1, retain=True)
    sender.publish(f"{PREFIX}/retained/a", "kept", 1, retain=True)
    receiver = Device("late").connect().subscribe(f"{PREFIX}/retained/+", 1)
    receiver.expect("a late subscriber gets the last retained message", ["kept"])
    if not receiver.messages[0].retain:
        sys.exit("a retained message is not marked as such")
    sender.publish(f"{PREFIX}/retained/a", "", 1, retain=True)
    receiver.expect("the deletion reaches who is subscribed", ["kept", ""])
    later = Device("later").connect().subscribe(f"{PREFIX}/retained/+", 1)
    sender.publish(f"{PREFIX}/retained/b", "end", 1)
    later.expect("an empty retained message deletes", ["end"])
    for device in (sender, receiver, later):
        device.disconnect()


def wills():
    watcher = Device("watcher").connect().subscribe(f"{PREFIX}/will", 1)
    polite = Device("polite", will=(f"{PREFIX}/will", "polite is gone", 1)).connect()
    polite.disconnect()
    rude = Device("rude", will=(f"{PREFIX}/will", "rude is gone", 1)).connect()
    rude.vanish()
    watcher.expect("a will is published for who vanishes, not for who leaves", ["rude is gone"])
    watcher.disconnect()


def persistent_sessions():
    sleeper = Device("sleeper", clean=False).connect().subscribe(f"{PREFIX}/sleep/#", 1)
    if sleeper.session_present:
        sys.exit("a new session is said to be present")
    sleeper.disconnect()
    sender = Device("waker").connect()
    wanted = [f"night {number}" for number in range(20)]
    for payload in wanted:
        sender.publish(f"{PREFIX}/sleep/x", payload, 1)
    awake = Device("sleeper", clean=False).connect()
    awake.expect("a persistent session gets what came while it was away", wanted)
    if not awake.session_present:
        sys.exit("a kept session is not said to be present")
    awake.disconnect()
    if VERSION == mqtt.MQTTv311:
        cleaner = Device("sleeper", clean=True).connect()
        if cleaner.session_present:
            sys.exit("a clean session is said to be present")
        cleaner.disconnect()
    sender.disconnect()


def unsubscribing_and_wildcards():
    sender = Device("speaker").connect()
    receiver = Device("listener").connect()
    receiver.subscribe(f"{PREFIX}/w/+/temperature", 1).subscribe(f"{PREFIX}/w/deep/#", 1)
    sender.publish(f"{PREFIX}/w/a/temperature", "1", 1)
    sender.publish(f"{PREFIX}/w/a/b/temperature", "not this", 1)
    sender.publish(f"{PREFIX}/w/deep/a/b", "2", 1)
    sender.publish(f"{PREFIX}/w/deep", "3", 1)
    receiver.expect("wildcards match what they should", ["1", "2", "3"])
    receiver.unsubscribe(f"{PREFIX}/w/deep/#")
    sender.publish(f"{PREFIX}/w/deep/a", "not this either", 1)
    sender.publish(f"{PREFIX}/w/b/temperature", "4", 1)
    receiver.expect("an unsubscribed filter is silent", ["1", "2", "3", "4"])
    sender.disconnect()
    receiver.disconnect()


def takeover_and_keep_alive():
    first = Device("twin").connect()
    second = Device("twin").connect()
    first.wait("the older of two equal clients is disconnected", lambda: not first.connected)
    first.client.loop_stop()
    time.sleep(8)  # Longer than the keep-alive of 5 s: pings must be answered.
    if not second.connected:
        sys.exit("a client that pings was disconnected")
    print("ok: takeover, and keep-alive", flush=True)
    second.disconnect()


every_quality_of_service()
retained_messages()
wills()
persistent_sessions()
unsubscribing_and_wildcards()
takeover_and_keep_alive()
print("all met", flush=True)
