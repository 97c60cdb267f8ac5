"""A Modbus slave by pymodbus: `slave.py serial PATH` or `slave.py tcp`.

Prints one line when it is ready: the port over TCP, the path on a serial line.
"""

import asyncio
import struct
import sys

from pymodbus.datastore import (
    ModbusDeviceContext,
    ModbusSequentialDataBlock,
    ModbusServerContext,
)
from pymodbus.server import ModbusSerialServer, ModbusTcpServer

UNIT = 17


def context():
    registers = [0] * 100
    registers[0] = 0xBEEF
    registers[1] = (-205) & 0xFFFF
    registers[2:4] = struct.unpack(">HH", struct.pack(">f", 230.1))
    registers[4:6] = reversed(struct.unpack(">HH", struct.pack(">f", -0.5)))
    # The blocks count from 1 where requests count from 0.
    device = ModbusDeviceContext(
        hr=ModbusSequentialDataBlock(1, registers),
        ir=ModbusSequentialDataBlock(1, [1000 + n for n in range(100)]),
        co=ModbusSequentialDataBlock(1, [False] * 100),
        di=ModbusSequentialDataBlock(1, [n % 2 == 0 for n in range(100)]),
    )
    return ModbusServerContext(devices={UNIT: device}, single=False)


async def main():
    if sys.argv[1] == "serial":
        server = ModbusSerialServer(context(), port=sys.argv[2], baudrate=38400)
        await server.serve_forever(background=True)
        print(sys.argv[2], flush=True)
    else:
        server = ModbusTcpServer(context(), address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        print(server.transport.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
