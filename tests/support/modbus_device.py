"""A Modbus device of pymodbus: over TCP, or as RTU on a serial line.

pymodbus encodes the values itself, so a wrong decoding in the gateway cannot be matched by the
same mistake here. Prints "ready" once it serves and a line for every write.
"""

import argparse
import asyncio

from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

READS = (1, 2, 3, 4)


async def report(function, start, address, count, registers, values):
    if function not in READS and values is not None:
        print(f"write function={function} address={address} values={list(values)}", flush=True)


def device(unit):
    coils = [SimData(0, values=[True, False, True] + [False] * 13, datatype=DataType.BITS)]
    discrete = [SimData(0, values=[False, True] + [False] * 14, datatype=DataType.BITS)]
    holding = [
        SimData(0, values=-205, datatype=DataType.INT16),
        SimData(1, values=546, datatype=DataType.UINT16),
        SimData(2, values=230.5, datatype=DataType.FLOAT32),
        SimData(4, values=-123456, datatype=DataType.INT32),
        SimData(6, values=50.0625, datatype=DataType.FLOAT64),
        SimData(10, values=0xFFFF, datatype=DataType.UINT16),
        SimData(20, values=0, datatype=DataType.UINT16),
        SimData(30, values="HOLDFAST", datatype=DataType.STRING),
    ]
    inputs = [SimData(0, values=777, datatype=DataType.UINT16)]
    return SimDevice(unit, (coils, discrete, holding, inputs), action=report)


async def serve(arguments):
    simulated = device(arguments.unit)

    def only_own_unit(sending, data):
        # Other units of the bus are dead, and a dead unit says nothing, not even an exception.
        # (Where the request is dropped instead, pymodbus waits for the rest of it for ever.)
        return b"" if sending and data and data[0] != arguments.unit else data

    if arguments.serial:
        server = ModbusSerialServer(
            simulated,
            port=arguments.serial,
            baudrate=arguments.baud,
            trace_packet=only_own_unit,
        )
    else:
        server = ModbusTcpServer(simulated, address=("127.0.0.1", arguments.tcp))
    await server.serve_forever(background=True)
    print("ready", flush=True)
    await asyncio.Event().wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tcp", type=int)
    parser.add_argument("--serial")
    parser.add_argument("--baud", type=int, default=19200)
    parser.add_argument("--unit", type=int, default=1)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
